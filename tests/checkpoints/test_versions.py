"""Numbered checkpoints in a folder."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from states import assert_same

from hookrl.checkpoints import BACKENDS, CorruptCheckpoint, encode
from hookrl.checkpoints import versions as module
from hookrl.checkpoints.versions import Versions, read_directory
from hookrl.errors import InvalidType, InvalidValue, MissingFile


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path / "folder")


def write(versions: Versions, *numbers: int) -> None:
    for number in numbers:
        versions.write(number, encode(state(number)), "torch", {})


def state(number: int) -> dict[str, Any]:
    return {"number": number, "weights": torch.full((3,), float(number))}


def names(versions: Versions) -> list[str]:
    return sorted(path.name for path in versions.folder.iterdir())


def damage(versions: Versions, number: int) -> None:
    with (versions.path(number) / "state.pt").open("ab") as file:
        file.write(b"\0")


def test_nothing_is_there_at_first(versions: Versions) -> None:
    assert versions.numbers() == []
    with pytest.raises(MissingFile, match=r"there is no checkpoint in .*folder\.$"):
        versions.read_newest()
    with pytest.raises(MissingFile, match=r"has no checkpoint 3: expected one of none\.$"):
        versions.read(3)
    assert not versions.folder.exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_checkpoint_comes_back_with_what_is_known_of_it(backend: str, versions: Versions) -> None:
    written = versions.write(5, encode(state(5)), backend, {"frames": 5})
    content, manifest = versions.read(5)
    assert_same(content, state(5))
    assert manifest == written == versions.manifest(5)
    assert (manifest.number, manifest.backend, manifest.about) == (5, backend, {"frames": 5})


def test_checkpoints_are_named_by_their_numbers(versions: Versions) -> None:
    write(versions, 0, 30, 7, 10**13)
    assert names(versions) == ["000000000000", "000000000007", "000000000030", "10000000000000"]
    assert versions.numbers() == [0, 7, 30, 10**13]
    assert versions.path(7).name == "000000000007"


def test_other_names_are_no_checkpoints(versions: Versions) -> None:
    write(versions, 1)
    for name in ("2", "00000000000２", "000000000002.0", "000000000002.01", "a000000000002"):
        shutil.copytree(versions.path(1), versions.folder / name)
    shutil.copytree(versions.path(1), versions.folder / "0000000000002")
    assert versions.numbers() == [1]


def test_a_missing_number_is_named_with_those_that_are_there(versions: Versions) -> None:
    write(versions, 1, 2)
    with pytest.raises(MissingFile) as caught:
        versions.path(3)
    assert str(caught.value) == f"{versions.folder} has no checkpoint 3: expected one of 1, 2."


def test_a_negative_number_is_refused(versions: Versions) -> None:
    with pytest.raises(InvalidValue, match="cannot have the number -1: expected 0 or more"):
        write(versions, -1)
    assert not versions.folder.exists()


def test_what_cannot_be_stored_of_it_leaves_nothing(versions: Versions) -> None:
    with pytest.raises(InvalidType, match=r"about\['a'\] is a set"):
        versions.write(1, encode({}), "torch", {"a": {1}})
    assert not versions.folder.exists()


# ---------------------------------------------------------------- the same number again


def test_the_same_number_again_counts_and_leaves_the_other_until_told(versions: Versions) -> None:
    write(versions, 5, 6)
    versions.write(5, encode({"second": True}), "torch", {})
    versions.write(5, encode({"third": True}), "torch", {})
    assert names(versions) == ["000000000005", "000000000005.1", "000000000005.2", "000000000006"]
    assert versions.numbers() == [5, 6]
    assert versions.read(5)[0] == {"third": True}
    versions.keep([5])
    assert names(versions) == ["000000000005.2"]
    assert versions.read(5)[0] == {"third": True}
    versions.write(5, encode({"fourth": True}), "torch", {})
    assert versions.read(5)[0] == {"fourth": True}


def test_the_other_of_the_same_number_is_used_if_the_newest_is_damaged(versions: Versions) -> None:
    write(versions, 4, 5)
    versions.write(5, encode({"second": True}), "torch", {})
    damage(versions, 5)
    with pytest.warns(UserWarning, match=r"000000000005\.1 is damaged.* 000000000005 is used"):
        assert_same(versions.read_newest()[0], state(5))


# ---------------------------------------------------------------- keeping


def test_what_is_not_kept_is_removed(versions: Versions) -> None:
    write(versions, 1, 2, 3, 4)
    versions.keep([2, 4])
    assert names(versions) == ["000000000002", "000000000004"]
    versions.keep([2, 4])
    versions.keep([])
    assert names(versions) == []


def test_nothing_is_removed_if_what_is_to_be_kept_is_missing(versions: Versions) -> None:
    write(versions, 1, 2)
    with pytest.raises(MissingFile):
        versions.keep([2, 3])
    assert versions.numbers() == [1, 2]


def test_a_link_that_is_not_kept_is_removed_and_not_followed(
    versions: Versions, tmp_path: Path
) -> None:
    write(versions, 1, 2)
    shutil.move(versions.path(1), tmp_path / "elsewhere")
    (versions.folder / "000000000001").symlink_to(tmp_path / "elsewhere")
    versions.keep([2])
    assert names(versions) == ["000000000002"]
    assert (tmp_path / "elsewhere" / "state.pt").exists()


def test_leftovers_are_cleared_away_by_the_next_save(versions: Versions) -> None:
    write(versions, 1)
    for name in (".writing", ".removing-000000000001", ".removing-000000000000.3"):
        shutil.copytree(versions.path(1), versions.folder / name)
    (versions.folder / ".other").touch()
    write(versions, 2)
    assert names(versions) == [".other", "000000000001", "000000000002"]


def test_a_save_that_fails_takes_its_leftovers_away(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(versions, 1)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_manifest", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(versions, 2)
    assert names(versions) == ["000000000001"]


# ---------------------------------------------------------------- the newest that is sound


def test_the_newest_is_found(versions: Versions) -> None:
    write(versions, 1, 3, 2)
    content, manifest = versions.read_newest()
    assert_same(content, state(3))
    assert manifest.number == 3


def test_damaged_ones_are_passed_over_with_a_warning_each(versions: Versions) -> None:
    write(versions, 1, 2, 3)
    damage(versions, 3)
    shutil.rmtree(versions.path(2) / "state.pt", ignore_errors=True)
    (versions.path(2) / "state.pt").unlink()
    with pytest.warns(UserWarning, match="is used instead") as caught:
        assert_same(versions.read_newest()[0], state(1))
    assert [str(warning.message) for warning in caught] == [
        f"the checkpoint {versions.path(3)} is damaged: 'state.pt' has "
        f"{versions.manifest(3).size + 1} bytes, expected {versions.manifest(3).size}. "
        "000000000001 is used instead.",
        f"the checkpoint {versions.path(2)} is damaged: 'state.pt' is missing. "
        "000000000001 is used instead.",
    ]


def test_the_error_names_all_that_are_damaged(versions: Versions) -> None:
    write(versions, 1, 2)
    damage(versions, 1)
    damage(versions, 2)
    with pytest.raises(CorruptCheckpoint) as caught:
        versions.read_newest()
    assert str(versions.path(1)) in str(caught.value)
    assert str(versions.path(2)) in str(caught.value)


def test_the_one_that_is_pointed_to_comes_first_then_older_ones_then_newer(
    versions: Versions,
) -> None:
    write(versions, 1, 2, 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for expected in (2, 1, 4, 3):
            assert_same(versions.read_newest(first=2)[0], state(expected))
            damage(versions, expected)


def test_one_that_is_pointed_to_and_missing_is_told(versions: Versions) -> None:
    write(versions, 1, 3)
    with pytest.warns(UserWarning, match=r"the checkpoint 2 in .*folder is missing\. 0+1 is used"):
        assert_same(versions.read_newest(first=2)[0], state(1))


def test_a_later_format_is_an_error_rather_than_a_reason_to_go_back(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(versions, 1)
    with monkeypatch.context() as patch:
        patch.setattr("hookrl.checkpoints.manifest.VERSION", 2)
        write(versions, 2)
    with pytest.raises(InvalidValue, match="has format version 2"):
        versions.read_newest()
    damage_of_the_only = Versions(versions.folder)
    assert_same(damage_of_the_only.read(1)[0], state(1))


def test_an_exchanged_checkpoint_is_refused(versions: Versions) -> None:
    write(versions, 1, 2)
    versions.path(2).rename(versions.folder / "000000000003")
    with pytest.raises(CorruptCheckpoint, match=r"000000000003 says that it is number 2\.$"):
        versions.read(3)


def test_a_link_is_refused(versions: Versions) -> None:
    write(versions, 1)
    (versions.folder / "000000000002").symlink_to("000000000001")
    with pytest.raises(CorruptCheckpoint, match=r"000000000002 is a link\.$"):
        versions.read(2)


def test_one_that_has_been_removed_by_another_process_meanwhile_is_no_damage(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(versions, 1)
    read = module.read_directory

    def late(directory: Path) -> Any:
        if directory.name == "000000000001":
            write(versions, 2)
            versions.keep([2])
        return read(directory)

    monkeypatch.setattr(module, "read_directory", late)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(versions.read_newest()[0], state(2))


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADMSG])
def test_a_file_that_the_medium_has_lost_is_damage(
    number: int, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(versions, 1, 2)
    read = module.verify_files

    def fail(directory: Path, manifest: Any) -> None:
        if directory.name == "000000000002":
            raise OSError(number, os.strerror(number))
        read(directory, manifest)

    monkeypatch.setattr(module, "verify_files", fail)
    with pytest.warns(UserWarning, match=f"000000000002 cannot be read: {os.strerror(number)}"):
        assert_same(versions.read_newest()[0], state(1))


def test_a_file_that_may_not_be_read_is_no_damage(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(versions, 1, 2)

    def fail(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module, "verify_files", fail)
    with pytest.raises(PermissionError):
        versions.read_newest()


def test_a_checkpoint_is_read_by_its_directory_whatever_that_is_called(
    versions: Versions, tmp_path: Path
) -> None:
    write(versions, 1)
    shutil.copytree(versions.path(1), tmp_path / "copy")
    assert_same(read_directory(tmp_path / "copy")[0], state(1))
