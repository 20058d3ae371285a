"""One checkpoint at a path: replaced as a whole, the one before kept, nothing else left behind."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchsnapshot
from states import assert_same

from hookrl.checkpoints import (
    BACKENDS,
    CheckpointStore,
    CorruptCheckpoint,
    SingleCheckpoint,
    chosen_backend,
    encode,
    load,
    save,
)
from hookrl.errors import InvalidType, InvalidValue, MissingFile

both_backends = pytest.mark.parametrize("backend", BACKENDS)
OLD = {"weights": torch.zeros(3), "step": 1}
NEW = {"weights": torch.ones(4, 2), "step": 2, "note": (None, 2**100)}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def versions(path: Path) -> list[Path]:
    """Every version of a checkpoint, the oldest first; nothing else may be there."""
    hidden = path.with_name(f".{path.name}.versions")
    assert names(path.parent) == {path.name, hidden.name}
    found = sorted(hidden.iterdir())
    assert all(entry.name.isdecimal() for entry in found)
    return found


def damage(version: Path) -> None:
    (version / "manifest.json").write_bytes(b"{}")


@both_backends
def test_a_state_comes_back_as_it_was(backend: str, tmp_path: Path) -> None:
    save(NEW, tmp_path / "state", backend)
    assert_same(load(tmp_path / "state"), NEW)


@both_backends
def test_missing_folders_are_made(backend: str, tmp_path: Path) -> None:
    save(OLD, tmp_path / "a" / "b" / "state", backend)
    assert_same(load(tmp_path / "a" / "b" / "state"), OLD)


def test_a_relative_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for state in (OLD, NEW):
        save(state, "state.pt")
        assert_same(load("state.pt"), state)


def test_a_torch_checkpoint_is_a_file_for_torch(tmp_path: Path) -> None:
    save(NEW, tmp_path / "state.pt", "torch")
    content = torch.load(tmp_path / "state.pt", weights_only=True)
    assert torch.ones(4, 2).equal(next(iter(content["tensors"].values())))


def test_a_torchsnapshot_checkpoint_is_a_directory_for_torchsnapshot(tmp_path: Path) -> None:
    save(NEW, tmp_path / "state", "torchsnapshot")
    snapshot = torchsnapshot.Snapshot(str(tmp_path / "state"))
    (key,) = [key for key in snapshot.get_manifest() if "/tensors/" in key]
    assert torch.ones(4, 2).equal(snapshot.read_object(key))


@both_backends
def test_what_is_known_of_it_comes_back(backend: str, tmp_path: Path) -> None:
    about = {"frames": 10, "metrics": {"return": 1.5}}
    written = save(OLD, tmp_path / "state", backend, about)
    _, manifest = SingleCheckpoint(tmp_path / "state").read()
    assert manifest == written
    assert manifest.about == about
    assert manifest.backend == backend


# ---------------------------------------------------------------- replacing


@pytest.mark.parametrize("backends", [*itertools.product(BACKENDS, BACKENDS)], ids="-then-".join)
def test_a_checkpoint_replaces_one_of_either_format_which_is_kept(
    backends: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "state"
    save(OLD, path, backends[0])
    save(NEW, path, backends[1])
    assert_same(load(path), NEW)
    assert len(versions(path)) == 2
    assert_same(load(versions(path)[0]), OLD)


@both_backends
def test_two_versions_are_kept(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    for step in range(5):
        save({"step": step}, path, backend)
        assert load(path) == {"step": step}
    assert [load(version)["step"] for version in versions(path)] == [3, 4]


@both_backends
def test_a_value_that_cannot_be_saved_leaves_the_old_checkpoint_alone(
    backend: str, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    save(OLD, path, backend)
    with pytest.raises(InvalidType, match="the state at /a is a set"):
        save({"a": {1}}, path, backend)
    with pytest.raises(InvalidType, match="about\\['a'\\] is a set"):
        save(NEW, path, backend, {"a": {1}})
    assert_same(load(path), OLD)
    assert len(versions(path)) == 1


@both_backends
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_checkpoint_readable(
    backend: str, failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    path = tmp_path / "state"
    save(OLD, path, backend)
    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="no space left"):
            save(NEW, path, backend)
    assert_same(load(path), OLD)
    assert len(versions(path)) == 1
    save(NEW, path, backend)
    assert_same(load(path), NEW)
    assert len(versions(path)) == 2


def test_a_failing_snapshot_leaves_the_old_one_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, *_: Any, **__: Any) -> None:
        (Path(path) / "half").touch()
        raise OSError(errno.ENOSPC, "no space left on device")

    path = tmp_path / "state"
    save(OLD, path, "torchsnapshot")
    monkeypatch.setattr(torchsnapshot.Snapshot, "take", fail)
    with pytest.raises(OSError, match="no space left") as caught:
        save(NEW, path, "torchsnapshot")
    assert str(tmp_path) in str(caught.value.filename)
    assert_same(load(path), OLD)
    assert len(versions(path)) == 1


def test_checkpoints_with_similar_names_keep_out_of_each_others_way(tmp_path: Path) -> None:
    found = ["a", "a.versions", ".a", "..a", "a[1]", "*", "a b", "é"]
    for _ in range(2):
        for number, name in enumerate(found):
            save({"number": number}, tmp_path / name, "torchsnapshot")
    assert [load(tmp_path / name)["number"] for name in found] == list(range(len(found)))
    assert len(names(tmp_path)) == 2 * len(found)


@both_backends
def test_a_directory_that_is_no_checkpoint_is_not_replaced(backend: str, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    with pytest.raises(InvalidValue, match="is a directory that is no checkpoint"):
        save(OLD, tmp_path / "precious", backend)
    assert names(tmp_path) == {"precious"}


def test_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_text("of another program")
    save(OLD, tmp_path / "state.pt")
    assert_same(load(tmp_path / "state.pt"), OLD)


@both_backends
def test_loaded_tensors_outlive_their_checkpoint(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    large = torch.arange(200_000)
    save({"large": large}, path, backend)
    loaded = load(path)["large"]
    for _ in range(3):
        save(OLD, path, backend)
    assert len(versions(path)) == 2
    assert torch.equal(loaded, large)
    shutil.rmtree(tmp_path)
    assert torch.equal(loaded, large)


# ---------------------------------------------------------------- damage


@both_backends
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(
    backend: str, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    save(OLD, path, backend)
    save(NEW, path, backend)
    older, newer = versions(path)
    damage(newer)
    with pytest.warns(UserWarning, match="is used instead") as caught:
        assert_same(load(path), OLD)
    assert [str(warning.message) for warning in caught] == [
        f"the checkpoint {newer} has a damaged manifest.json. 000000000001 is used instead."
    ]
    damage(older)
    with pytest.raises(CorruptCheckpoint) as refused:
        load(path)
    assert str(refused.value) == (
        f"the checkpoint {newer} has a damaged manifest.json. "
        f"the checkpoint {older} has a damaged manifest.json."
    )


def test_a_missing_version_is_told_and_the_one_before_it_used(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save(OLD, path)
    save(NEW, path)
    shutil.rmtree(versions(path)[1])
    with pytest.warns(UserWarning, match=r"the checkpoint 2 in .* is missing\. 0+1 is used"):
        assert_same(load(path), OLD)


def test_a_save_after_damage_does_not_take_the_damaged_one_for_the_new(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save(OLD, path)
    save(OLD, path)
    damage(versions(path)[1])
    save(NEW, path)
    assert_same(load(path), NEW)


# ---------------------------------------------------------------- links and copies


@both_backends
def test_a_version_can_be_loaded_by_its_directory(backend: str, tmp_path: Path) -> None:
    save(OLD, tmp_path / "state", backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(load(versions(tmp_path / "state")[0]), OLD)


@both_backends
def test_a_link_to_a_checkpoint_is_verified_as_well(backend: str, tmp_path: Path) -> None:
    save(OLD, tmp_path / "a" / "state", backend)
    (tmp_path / "link").symlink_to("a/state")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(load(tmp_path / "link"), OLD)
    damage(versions(tmp_path / "a" / "state")[0])
    with pytest.raises(CorruptCheckpoint):
        load(tmp_path / "link")


def test_the_pointers_of_a_store_can_be_loaded(tmp_path: Path) -> None:
    CheckpointStore(tmp_path).write(10, encode(OLD))
    assert_same(load(tmp_path / "latest"), OLD)
    assert_same(load(tmp_path / "latest" / "state.pt"), OLD)


@both_backends
def test_a_copy_without_its_manifest_is_read_with_a_warning(backend: str, tmp_path: Path) -> None:
    save(OLD, tmp_path / "state", backend)
    if backend == "torch":
        shutil.copy(tmp_path / "state", tmp_path / "copy")
    else:
        shutil.copytree(tmp_path / "state", tmp_path / "copy")
    with pytest.warns(UserWarning, match="copy has no manifest beside it, so that damage to it"):
        assert_same(load(tmp_path / "copy"), OLD)


@both_backends
def test_a_checkpoint_moves_with_its_folder(backend: str, tmp_path: Path) -> None:
    save(NEW, tmp_path / "run" / "state", backend)
    (tmp_path / "run").rename(tmp_path / "renamed")
    assert_same(load(tmp_path / "renamed" / "state"), NEW)
    save(OLD, tmp_path / "renamed" / "state", backend)
    assert_same(load(tmp_path / "renamed" / "state"), OLD)


def test_a_link_that_leads_nowhere_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to("nowhere")
    with pytest.raises(MissingFile):
        load(tmp_path / "state")


def test_what_was_removed_is_gone(tmp_path: Path) -> None:
    save(OLD, tmp_path / "state")
    (tmp_path / "state").unlink()
    with pytest.raises(MissingFile):
        load(tmp_path / "state")


# ---------------------------------------------------------------- what is stored


@both_backends
def test_a_checkpoint_does_not_change_with_what_was_saved(backend: str, tmp_path: Path) -> None:
    state = {"weights": torch.zeros(3)}
    save(state, tmp_path / "state", backend)
    state["weights"].fill_(1)
    assert not load(tmp_path / "state")["weights"].any()


@both_backends
def test_saving_and_loading_draw_no_random_numbers(backend: str, tmp_path: Path) -> None:
    def states() -> list[str]:
        found = (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1])
        return [*map(str, found)]

    before = states()
    save(NEW, tmp_path / "state", backend)
    load(tmp_path / "state")
    assert states() == before


# ---------------------------------------------------------------- choosing and refusing


@both_backends
def test_the_environment_variable_chooses_the_backend(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_BACKEND", backend)
    save(OLD, tmp_path / "state")
    assert chosen_backend() == backend
    assert (tmp_path / "state").is_dir() == (backend == "torchsnapshot")


def test_without_the_environment_variable_it_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CKPT_BACKEND", raising=False)
    assert chosen_backend() == "torch"


def test_a_misspelt_environment_variable_is_answered_with_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_BACKEND", "torchsnapshoot")
    with pytest.raises(InvalidValue) as caught:
        save(OLD, tmp_path / "state")
    assert str(caught.value) == (
        "CKPT_BACKEND='torchsnapshoot' (did you mean 'torchsnapshot'?): expected one of torch, "
        "torchsnapshot."
    )
    assert not names(tmp_path)


def test_a_misspelt_argument_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"backend='torhc' \(did you mean 'torch'\?\)"):
        save(OLD, tmp_path / "state", "torhc")
    assert not names(tmp_path)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"there is no checkpoint .*state\.$"):
        load(tmp_path / "state")


def test_other_files_and_folders_are_no_checkpoints(tmp_path: Path) -> None:
    torch.save({"model": torch.zeros(3)}, tmp_path / "model.pt")
    (tmp_path / "folder").mkdir()
    entry = torchsnapshot.StateDict(a=1)
    torchsnapshot.Snapshot.take(str(tmp_path / "foreign"), {"app": entry})
    for name in ("model.pt", "folder", "foreign"):
        with pytest.raises(InvalidValue, match="but no checkpoint"):
            load(tmp_path / name)
