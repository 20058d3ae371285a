"""Files as memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
import torch

from hookrl.checkpoints.mapping import bytes_at, map_file

NUMBERS = torch.arange(1, 1000)


def mapped(path: Path, before: int) -> mmap.mmap:
    """A mapped file in which the numbers begin behind some bytes."""
    path.write_bytes(bytes(before) + NUMBERS.numpy().tobytes())
    return map_file(path)


def test_numbers_in_a_file_are_used_in_place(tmp_path: Path) -> None:
    content = mapped(tmp_path / "file", 8)
    found = bytes_at(content, 8, NUMBERS.nbytes, 8).view(torch.int64)
    assert torch.equal(found, NUMBERS)
    content[8] = 77
    assert found[0] == 77


def test_numbers_between_the_places_for_numbers_are_copied(tmp_path: Path) -> None:
    content = mapped(tmp_path / "file", 4)
    found = bytes_at(content, 4, NUMBERS.nbytes, 8).view(torch.int64)
    assert torch.equal(found, NUMBERS)
    content[4] = 77
    assert found[0] == 1
    assert found.data_ptr() % 8 == 0


def test_the_storage_of_a_tensor_is_its_own_bytes(tmp_path: Path) -> None:
    found = bytes_at(mapped(tmp_path / "file", 8), 16, 24, 8)
    assert found.untyped_storage().nbytes() == 24


def test_changing_the_memory_does_not_change_the_file(tmp_path: Path) -> None:
    before = mapped(tmp_path / "file", 0)
    bytes_at(before, 0, 8, 8).fill_(7)
    assert torch.equal(
        bytes_at(map_file(tmp_path / "file"), 0, 8, 8).view(torch.int64), NUMBERS[:1]
    )


def test_tensors_outlive_the_file(tmp_path: Path) -> None:
    found = bytes_at(mapped(tmp_path / "file", 0), 0, NUMBERS.nbytes, 8)
    (tmp_path / "file").unlink()
    assert torch.equal(found.view(torch.int64), NUMBERS)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        map_file(tmp_path / "missing")
