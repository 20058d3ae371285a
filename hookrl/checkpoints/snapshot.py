"""An encoded state as a directory for ``torchsnapshot.Snapshot(path)``.

torchsnapshot writes it; what reads it is here. torchsnapshot would follow a location out of the
directory, unpickle what is marked as an object, take a file that is too short without a word, and
allocate what can be mapped.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from hookrl.checkpoints.codec import Encoded, Stored
from hookrl.checkpoints.mapping import bytes_at, map_file
from hookrl.checkpoints.memory import DTYPES, dense, fills, flat, pieces
from hookrl.checkpoints.paths import inside
from hookrl.checkpoints.strict import parse
from hookrl.errors import InvalidValue
from hookrl.state import LiveTensor

METADATA = ".snapshot_metadata"
_ENTRY = "checkpoint"
_TAKEN = {
    *(torch.float16, torch.float32, torch.float64),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool),
}
"""Types that torchsnapshot stores faithfully and as plain bytes; it pickles complex numbers, and
fails with bfloat16 when the number of elements is odd."""
_SMALL = 1 << 24
"""Bytes below which a tensor is copied into memory rather than mapped: each that is mapped keeps
its file open, and a process may have as few as a thousand of those."""
_CHUNK = "TORCHSNAPSHOT_MAX_CHUNK_SIZE_BYTES_OVERRIDE"


def write_snapshot(encoded: Encoded, directory: Path) -> None:
    """Write an encoded state into a directory that is there.

    Tensors are stored as they are where torchsnapshot can, otherwise as their bytes, or as a line
    of elements if their dimensions lie in another order in memory. Live ones it cannot read: they
    are written here, and added to what it says of the others.

    Raises:
        InvalidValue: in any but the first of several processes.
        OSError: if the disk is full or does not answer.
    """
    import torchsnapshot

    skeleton, tensors = encoded
    kinds, stored, live = {}, {}, {}
    for name, tensor in tensors.items():
        if isinstance(tensor, LiveTensor):
            kinds[name] = [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), None]
            if math.prod(tensor.shape):
                live[name] = tensor
            continue
        whole = dense(tensor)
        strides = None if whole.is_contiguous() else list(whole.stride())
        kinds[name] = [str(whole.dtype).removeprefix("torch."), list(whole.shape), strides]
        # It does not take tensors without elements: their type and shape say it all.
        if whole.numel():
            taken = whole.dtype in _TAKEN
            line = flat(whole) if taken else flat(whole).view(torch.uint8)
            stored[name] = whole if taken and strides is None else line
    entry = torchsnapshot.StateDict(skeleton=skeleton, kinds=json.dumps(kinds), tensors=stored)
    with _whole_tensors(), _alone() as group:
        torchsnapshot.Snapshot.take(str(directory), {_ENTRY: entry}, pg=group)
    if live:
        _add_live(live, directory)


def _add_live(tensors: Mapping[str, LiveTensor], directory: Path) -> None:
    """Write live tensors, each into a file of its own, as torchsnapshot would."""
    metadata = directory / METADATA
    content = json.loads(metadata.read_bytes())
    manifest = content["manifest"]
    for name, tensor in tensors.items():
        place = f"0/{_ENTRY}/tensors/{name}"
        path = directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for piece in pieces(tensor):
                file.write(piece)
        taken = tensor.dtype in _TAKEN
        size = math.prod(tensor.shape) * tensor.dtype.itemsize
        manifest[f"0/{_ENTRY}/tensors"]["keys"].append(name)
        manifest[place] = {
            "type": "Tensor",
            "location": place,
            "serializer": "buffer_protocol",
            "dtype": str(tensor.dtype if taken else torch.uint8),
            "shape": list(tensor.shape) if taken else [size],
            "replicated": False,
            "byte_range": None,
        }
    metadata.write_text(json.dumps(content))


def read_snapshot(directory: Path) -> Stored:
    """Read an encoded state; large tensors are mapped, and whoever changes them changes a copy.

    Raises:
        InvalidValue: if it is a directory of another kind, or its parts do not fit together.
        ValueError, LookupError, TypeError, AttributeError: the same, where nothing more can be
            said of it.
    """
    if not (directory / METADATA).is_file():
        raise InvalidValue(f"{directory} is a directory but no checkpoint.")
    # It is YAML by name, but torchsnapshot writes JSON, and only that is read: it has no tags.
    metadata = inside(directory, METADATA)
    manifest = parse(metadata.read_bytes(), str(metadata))["manifest"]
    if f"0/{_ENTRY}/skeleton" not in manifest:
        raise InvalidValue(f"{directory} is a torchsnapshot directory but no checkpoint.")
    skeleton, kinds = (
        manifest[f"0/{_ENTRY}/{name}"]["serialized_value"] for name in ("skeleton", "kinds")
    )
    pieces = _Pieces(directory)
    tensors = {}
    for name, (dtype, shape, strides) in parse(
        kinds, f"what {directory} says of its tensors"
    ).items():
        tensors[name] = pieces.read(
            manifest.get(f"0/{_ENTRY}/tensors/{name}"), DTYPES[dtype], shape, strides
        )
    if pieces.left:
        raise InvalidValue(f"{directory} holds more than it says.")
    return skeleton, tensors


class _Pieces:
    """The bytes of tensors in the files of a snapshot.

    Args:
        directory: the snapshot's.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        files = (path for path in directory.rglob("*") if path.is_file())
        self.left = sum(path.stat().st_size for path in files if path.name != METADATA)
        """Bytes in all files that no tensor has claimed: one file cannot pretend to be many."""

    def read(
        self,
        entry: Mapping[str, Any] | None,
        dtype: torch.dtype,
        shape: list[int],
        strides: list[int] | None,
    ) -> torch.Tensor:
        """Return a tensor, from the bytes that an entry names."""
        self._check_sizes(shape)
        if strides is not None and not fills(shape, strides):
            raise InvalidValue(f"{self.directory} holds a tensor whose elements overlap.")
        size = math.prod(shape) * dtype.itemsize
        if not size:
            return torch.empty(shape, dtype=dtype)
        if entry is None or self._size(entry) != size:
            raise InvalidValue(f"{self.directory} does not hold what it says of its tensors.")
        self.left -= size
        if self.left < 0:
            raise InvalidValue(f"{self.directory} holds less than it says.")
        line = self._bytes(entry, dtype.itemsize).view(dtype)
        return line.view(shape) if strides is None else line.as_strided(shape, strides)

    def _size(self, entry: Mapping[str, Any]) -> int:
        """How many bytes an entry names."""
        if entry["type"] == "ChunkedTensor":
            return sum(self._size_of_one(chunk["tensor"]) for chunk in entry["chunks"])
        return self._size_of_one(entry)

    def _size_of_one(self, entry: Mapping[str, Any]) -> int:
        if entry["type"] != "Tensor" or entry["serializer"] != "buffer_protocol":
            raise InvalidValue(
                f"{self.directory} holds something of type {str(entry['type'])[:40]!r} that is not "
                "stored as plain bytes, which is never loaded."
            )
        self._check_sizes(entry["shape"])
        return math.prod(entry["shape"]) * DTYPES[entry["dtype"].removeprefix("torch.")].itemsize

    def _bytes(self, entry: Mapping[str, Any], unit: int) -> torch.Tensor:
        """The bytes of an entry, whole or in chunks along its first dimension."""
        if entry["type"] == "ChunkedTensor":
            chunks = sorted(entry["chunks"], key=lambda chunk: chunk["offsets"])
            return torch.cat([self._bytes_of_one(chunk["tensor"], unit) for chunk in chunks])
        return self._bytes_of_one(entry, unit)

    def _bytes_of_one(self, entry: Mapping[str, Any], unit: int) -> torch.Tensor:
        file, size = inside(self.directory, entry["location"]), self._size_of_one(entry)
        start, end = entry["byte_range"] or (0, size)
        self._check_sizes([start, end])
        if end - start != size or end > file.stat().st_size:
            raise InvalidValue(f"{file} is shorter than what it should hold.")
        if size >= _SMALL:
            return bytes_at(map_file(file), start, size, unit)
        with file.open("rb") as opened:
            opened.seek(start)
            return torch.frombuffer(bytearray(opened.read(size)), dtype=torch.uint8)

    def _check_sizes(self, sizes: list[int]) -> None:
        if any(type(size) is not int or size < 0 for size in sizes):
            raise InvalidValue(
                f"{self.directory} says of a tensor that its sizes are {str(sizes)[:80]}: expected "
                "whole numbers from 0."
            )


@contextlib.contextmanager
def _alone() -> Iterator[dist.ProcessGroup | None]:
    """Let torchsnapshot write for this process alone; it would wait for all others to write too.

    Raises:
        InvalidValue: if this is not the first process, without which torchsnapshot does nothing.
    """
    if not (dist.is_available() and dist.is_initialized()):
        yield None
        return
    if dist.get_rank() > 0:
        raise InvalidValue(
            f"process {dist.get_rank()} cannot save with the backend 'torchsnapshot': expected "
            "'torch', or the first process to save."
        )
    group = dist.new_group([0], backend="gloo", use_local_synchronization=True)
    try:
        yield group
    finally:
        dist.destroy_process_group(group)


@contextlib.contextmanager
def _whole_tensors() -> Iterator[None]:
    """Let torchsnapshot store each tensor in one piece, which can be mapped.

    Unless the user has said otherwise: chunks let torchsnapshot itself restore with less memory.
    """
    said = _CHUNK in os.environ
    if not said:
        os.environ[_CHUNK] = str(1 << 62)
    try:
        yield
    finally:
        if not said:
            os.environ.pop(_CHUNK, None)
