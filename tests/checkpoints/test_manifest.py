"""The manifest: what it records comes back, and what is not as it records is named."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from faults.malice_manifest import seal

from hookrl.checkpoints import CorruptCheckpoint, Manifest
from hookrl.checkpoints.disk import DISK
from hookrl.checkpoints.manifest import (
    check_about,
    describe_files,
    problems,
    read_manifest,
    verify_files,
    write_manifest,
)
from hookrl.errors import InvalidType, InvalidValue


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A checkpoint of a torchsnapshot, as far as a manifest sees it."""
    directory = tmp_path / "it"
    (directory / "state" / "deep").mkdir(parents=True)
    (directory / "state" / ".snapshot_metadata").write_text("metadata")
    (directory / "state" / "deep" / "data").write_bytes(bytes(1000))
    write(directory)
    return directory


def write(directory: Path, **about: Any) -> Manifest:
    files = describe_files(directory)
    manifest = Manifest(number=7, backend="torchsnapshot", files=files, about=about)
    (directory / "manifest.json").unlink(missing_ok=True)
    write_manifest(manifest, directory, DISK)
    return manifest


def rewrite(directory: Path, **changes: Any) -> None:
    """Change what a manifest says; its digest is right."""
    path = directory / "manifest.json"
    content = {**json.loads(path.read_text()), **changes}
    del content["digest"]
    path.write_bytes(seal(content))


# ---------------------------------------------------------------- what it says


def test_sizes_and_hashes_of_all_files_are_recorded(directory: Path) -> None:
    manifest = read_manifest(directory)
    assert [*manifest.files] == ["state/.snapshot_metadata", "state/deep/data"]
    assert manifest.files["state/deep/data"] == {
        "size": 1000,
        "blake2b": hashlib.blake2b(bytes(1000), digest_size=32).hexdigest(),  # b2sum -l 256
    }
    assert manifest.size == 1008
    assert manifest.payload == "state"
    assert manifest.number == 7


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"frames": 2**70, "metrics": {"return": 0.1 + 0.2, "loss": math.inf}},
        {"text": "é\ud800\n\0", "none": None, "yes": True, "list": [1, [2, {"a": "b"}]]},
    ],
    ids=repr,
)
def test_what_is_told_about_it_comes_back(about: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    written = write(tmp_path, **about)
    (tmp_path / "state").unlink()
    assert read_manifest(tmp_path) == written


def test_nan_comes_back(tmp_path: Path) -> None:
    write(tmp_path, loss=math.nan)
    assert math.isnan(read_manifest(tmp_path).about["loss"])


def test_it_is_text_that_can_be_read(directory: Path) -> None:
    content = json.loads((directory / "manifest.json").read_text())
    assert [*content] == ["format", "version", "number", "backend", "files", "about", "digest"]
    assert (content["format"], content["version"]) == ("hookrl checkpoint", 1)


@pytest.mark.parametrize(
    ("about", "text"),
    [
        ({"a": {1}}, "about['a'] is a set: expected a plain value, or a list or mapping of those."),
        ({"a": [0, b""]}, "about['a'][1] is a bytes: expected"),
        ({"a": {1: 2}}, "about['a'] has the key 1: expected text."),
        (1j, "about is a complex: expected"),
    ],
    ids=repr,
)
def test_what_it_cannot_hold_is_named(about: Any, text: str) -> None:
    with pytest.raises(InvalidType) as caught:
        check_about(about)
    assert str(caught.value).startswith(text)


# ---------------------------------------------------------------- damage to it


def test_a_missing_manifest_is_named(directory: Path) -> None:
    (directory / "manifest.json").unlink()
    with pytest.raises(CorruptCheckpoint) as caught:
        read_manifest(directory)
    assert str(caught.value) == f"the checkpoint {directory} lacks its manifest.json."


def test_any_byte_changed_in_it_is_seen(directory: Path) -> None:
    path = directory / "manifest.json"
    raw = path.read_bytes()
    for position in range(len(raw)):
        for byte in (ord(" "), raw[position] ^ 1):
            if byte != raw[position]:
                path.write_bytes(raw[:position] + bytes([byte]) + raw[position + 1 :])
                with pytest.raises(CorruptCheckpoint, match="has a damaged manifest"):
                    read_manifest(directory)


def test_a_later_version_is_named_and_not_called_damage(directory: Path) -> None:
    rewrite(directory, version=2)
    with pytest.raises(InvalidValue) as caught:
        read_manifest(directory)
    assert not isinstance(caught.value, CorruptCheckpoint)
    assert str(caught.value) == (
        f"the checkpoint {directory} has format version 2: this hookrl reads version 1; a later "
        "one can read it."
    )


def test_another_format_is_refused(directory: Path) -> None:
    rewrite(directory, format="other")
    with pytest.raises(CorruptCheckpoint):
        read_manifest(directory)


@pytest.mark.parametrize(
    "change", [{"backend": "pickle"}, {"files": []}, {"about": 1}, {"number": "7"}, {"more": 1}]
)
def test_fields_of_another_kind_are_refused(change: dict[str, Any], directory: Path) -> None:
    rewrite(directory, **change)
    with pytest.raises(InvalidValue, match=r"has a manifest\.json of unknown content\."):
        read_manifest(directory)


# ---------------------------------------------------------------- damage to the files


def found(directory: Path) -> list[tuple[str, str]]:
    return [*problems(directory, read_manifest(directory))]


def test_nothing_is_wrong_with_what_was_written(directory: Path) -> None:
    assert not found(directory)
    verify_files(directory, read_manifest(directory))


def test_everything_that_is_wrong_is_named(directory: Path) -> None:
    (directory / "state" / "more").touch()
    (directory / "link").symlink_to("manifest.json")
    (directory / "state" / ".snapshot_metadata").write_text("METADATA")
    (directory / "state" / "deep" / "data").write_bytes(bytes(999))
    assert found(directory) == [
        ("link", "is not of this checkpoint"),
        ("state/more", "is not of this checkpoint"),
        ("state/.snapshot_metadata", "has changed"),
        ("state/deep/data", "has 999 bytes, expected 1000"),
    ]
    with pytest.raises(CorruptCheckpoint) as caught:
        verify_files(directory, read_manifest(directory))
    assert str(caught.value) == (
        f"the checkpoint {directory} is damaged: 'link' is not of this checkpoint."
    )


def test_missing_files_and_links_are_named(directory: Path) -> None:
    data = directory / "state" / "deep" / "data"
    data.rename(directory.parent / "data")
    assert found(directory) == [("state/deep/data", "is missing")]
    data.symlink_to(directory.parent / "data")
    assert found(directory) == [("state/deep/data", "is a link")]
    data.unlink()
    data.parent.rmdir()
    data.parent.symlink_to(directory.parent)
    assert ("state/deep/data", "is a link") in found(directory)


def test_a_name_that_leads_out_is_not_followed(directory: Path) -> None:
    (directory.parent / "outside").touch()
    files = describe_files(directory.parent)["outside"]
    known = json.loads((directory / "manifest.json").read_text())["files"]
    rewrite(directory, files={**known, "../outside": files})
    assert found(directory) == [("../outside", "leads out of the checkpoint")]
