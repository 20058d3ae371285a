"""The torch format: read without memory for what is in it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from faults.malice_torch import archive, pickled, tensor

from hookrl.checkpoints.torch_file import read_torch_file, write_torch_file
from hookrl.errors import InvalidValue
from hookrl.state import LiveTensor

MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
SKELETON = '{"list": [{"tensor": "t0"}, {"tensor": "t1"}]}'


class Huge(LiveTensor):
    """Twice as many zeros as there is memory; a file has holes for them, which take no room."""

    dtype, shape = torch.float64, (MEMORY // 4,)

    def pieces(self) -> Iterator[memoryview]:
        return iter(())

    def release(self) -> None:
        pass


def test_a_file_larger_than_memory_is_read(tmp_path: Path) -> None:
    path, small = tmp_path / "state.pt", torch.arange(5)
    with path.open("x+b") as file:
        write_torch_file((SKELETON, {"t0": Huge(), "t1": small}), file)
    assert path.stat().st_size > 2 * MEMORY - 8
    _, tensors = read_torch_file(path)
    assert torch.equal(tensors["t1"], small)
    huge = tensors["t0"]
    assert huge.shape == Huge.shape
    assert not huge[:1000].any()
    huge[-1] = 1
    assert huge[-5:].tolist() == [0, 0, 0, 0, 1]


def test_each_tensor_has_a_storage_of_its_own(tmp_path: Path) -> None:
    tensors = {"t0": torch.arange(5), "t1": torch.arange(7.0)}
    with (tmp_path / "state.pt").open("x+b") as file:
        write_torch_file((SKELETON, tensors), file)
    _, found = read_torch_file(tmp_path / "state.pt")
    assert [tensor.untyped_storage().nbytes() for tensor in found.values()] == [40, 28]


@pytest.mark.parametrize(("stride", "said"), [(1, -10), (1, 7), (-1, 10)])
def test_what_is_said_amiss_of_a_storage_does_no_harm(
    stride: int, said: int, tmp_path: Path
) -> None:
    """torch puts it right without memory, and then it fits the bytes that there are, or not."""
    path = tmp_path / "state.pt"
    archive(path, pickled(tensor((10,), (stride,), 0, torch.FloatStorage, "0", "cpu", said)))
    assert read_torch_file(path)[1]["t0"].tolist() == [0] * 10


def test_a_tensor_has_the_size_that_its_bytes_have(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    archive(path, pickled(tensor((9,), (1,), 0, torch.FloatStorage, "0", "cpu", 9)))
    with pytest.raises(InvalidValue, match="holds less or more of 't0' than it says"):
        read_torch_file(path)


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    archive(path, bytes(1000), zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidValue, match=r"state\.pt is compressed, which no checkpoint is"):
        read_torch_file(path)


def test_names_that_are_not_in_plain_sight_are_refused_before_the_pickle_is_followed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.pt"
    torch.save({"skeleton": "1", "tensors": {"t0": torch.ones(2)}}, path, pickle_protocol=4)
    with pytest.raises(InvalidValue, match=r"state\.pt is pickled in a way that no checkpoint is"):
        read_torch_file(path)
