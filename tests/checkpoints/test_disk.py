"""The operations on the disk: each does one thing, and says what failed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from hookrl.checkpoints.disk import DISK


def test_a_file_is_written_once(tmp_path: Path) -> None:
    DISK.write(tmp_path / "a", lambda file: file.write(b"text"))
    assert (tmp_path / "a").read_bytes() == b"text"
    with pytest.raises(FileExistsError):
        DISK.write(tmp_path / "a", lambda file: file.write(b"other"))
    assert (tmp_path / "a").read_bytes() == b"text"


def test_a_directory_is_made_where_there_was_none(tmp_path: Path) -> None:
    DISK.make_directory(tmp_path / "a")
    with pytest.raises(FileExistsError):
        DISK.make_directory(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        DISK.make_directory(tmp_path / "b" / "c")


def test_missing_directories_are_made_and_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(DISK, "sync", synced.append)
    DISK.make_directories(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    DISK.make_directories(tmp_path / "a" / "b")
    assert len(synced) == 3


def test_a_tree_is_synced_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "file").touch()
    (tmp_path / "z").touch()
    monkeypatch.setattr(DISK, "sync", synced.append)
    DISK.sync_tree(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in synced]
    assert names == ["d/e/file", "d/e", "d", "z", "."]


def test_files_and_directories_can_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    (tmp_path / "a").touch()
    DISK.sync(tmp_path / "a")
    DISK.sync(tmp_path)
    assert synced == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]


def test_syncing_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        DISK.sync(tmp_path)
    assert caught.value.filename == str(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_removing_takes_links_rather_than_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / "link").symlink_to("precious")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "link").symlink_to("../precious")
    DISK.remove(tmp_path / "link")
    DISK.remove(tmp_path / "d")
    DISK.remove(tmp_path / "precious" / "file")
    assert [*tmp_path.iterdir()] == [tmp_path / "precious"]


@pytest.mark.parametrize("before", ["nothing", "a link", "a file", "a link that leads nowhere"])
def test_a_pointer_replaces_what_was_there(before: str, tmp_path: Path) -> None:
    link = tmp_path / "link"
    if before == "a file":
        link.touch()
    elif before != "nothing":
        link.symlink_to("." if before == "a link" else "nowhere")
    DISK.point(link, "target")
    assert os.readlink(link) == "target"
    assert [*tmp_path.iterdir()] == [link]


def test_a_pointer_left_half_way_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".link.link").symlink_to("old")
    DISK.point(tmp_path / "link", "new")
    assert os.readlink(tmp_path / "link") == "new"
    assert [*tmp_path.iterdir()] == [tmp_path / "link"]


# ---------------------------------------------------------------- what fails


class FullFile:
    """Takes a hundred bytes."""

    def __init__(self) -> None:
        self.left = 100

    def write(self, content: Any) -> int:
        self.left -= len(content)
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(content)

    def flush(self) -> None:
        pass


def test_torch_on_a_full_disk_is_an_error_of_the_disk(tmp_path: Path) -> None:
    def save(_: BinaryIO) -> None:
        torch.save(torch.zeros(1000), FullFile())

    with pytest.raises(RuntimeError, match="unexpected pos"):
        save(None)
    with pytest.raises(OSError, match="No space left on device") as caught:
        DISK.write(tmp_path / "a", save)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "a")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_that_is_noticed_when_the_file_is_closed(tmp_path: Path) -> None:
    def produce(_: BinaryIO) -> None:
        with open("/dev/full", "wb") as full:
            full.write(b"text")

    with pytest.raises(OSError, match="No space left on device") as caught:
        DISK.write(tmp_path / "a", produce)
    assert caught.value.filename == str(tmp_path / "a")


def test_an_error_that_is_not_of_the_disk_stays_what_it_is(tmp_path: Path) -> None:
    def produce(_: object) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        DISK.write(tmp_path / "a", produce)
    with pytest.raises(RuntimeError, match="a bug"):
        DISK.fill(tmp_path, produce)


def test_an_error_of_the_disk_without_a_number_is_one_of_input_and_output(tmp_path: Path) -> None:
    def produce(_: object) -> None:
        raise OSError("something")

    with pytest.raises(OSError, match="Input/output error") as caught:
        DISK.fill(tmp_path, produce)
    assert caught.value.filename == str(tmp_path)


def test_a_file_that_other_code_names_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        DISK.fill(tmp_path, lambda directory: (directory / "no" / "where").touch())
    assert caught.value.filename == str(tmp_path / "no" / "where")
