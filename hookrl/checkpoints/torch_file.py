"""An encoded state as a file for ``torch.load(weights_only=True)``."""

from __future__ import annotations

import io
import math
import mmap
import pickle
import pickletools
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensorMode  # documented under that name
from torch.serialization import skip_data

from hookrl.checkpoints.codec import Encoded, Stored
from hookrl.checkpoints.mapping import bytes_at, map_file
from hookrl.checkpoints.memory import DTYPES, fills, pieces
from hookrl.errors import InvalidValue
from hookrl.state import LiveTensor

_STORAGES = (
    *("Double", "Float", "Half", "BFloat16", "ComplexDouble", "ComplexFloat"),
    *("Long", "Int", "Short", "Char", "Byte", "Bool"),
)
_NAMES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch.storage UntypedStorage",
    *(f"torch {name}Storage" for name in _STORAGES),
    *(f"torch {name}" for name in DTYPES),
}
"""What the pickle in such a file names; torch would take a little more, and whatever else other
packages have told it to."""
_OTHER_WAYS = {"STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}
"""Operations by which a pickle may name something, other than the one that torch writes."""


def write_torch_file(encoded: Encoded, file: BinaryIO) -> None:
    """Write an encoded state into an open file: torch takes some names of files amiss.

    torch writes the archive with the room for each tensor left empty, which costs neither time nor
    disk, and the bytes are put there afterwards: so a tensor need never be in memory as a whole.
    The archive's own checksums of them are 0; nothing but ``unzip`` looks at those.

    Args:
        encoded: the state.
        file: empty, open for reading and writing.
    """
    skeleton, tensors = encoded
    with FakeTensorMode():
        hollow = {name: _hollow(tensor) for name, tensor in tensors.items()}
    with skip_data(materialize_fake_tensors=True):
        torch.save({"skeleton": skeleton, "tensors": hollow}, file)
    places = _places(file)
    for number, tensor in enumerate(tensors.values()):  # torch counts them as it meets them
        file.seek(places[str(number)].start)
        for piece in pieces(tensor):
            file.write(piece)


def _hollow(tensor: torch.Tensor | LiveTensor) -> torch.Tensor:
    """A tensor without memory that looks like another does once it is dense."""
    if isinstance(tensor, LiveTensor) or not fills(tensor.shape, tensor.stride()):
        return torch.empty(tensor.shape, dtype=tensor.dtype)
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)


class _Place(NamedTuple):
    """Where the bytes of a tensor are in an archive."""

    start: int
    size: int


def _places(file: BinaryIO) -> Mapping[str, _Place]:
    """Where the bytes of each tensor are, by its number.

    Raises:
        ValueError: if a number is there twice, or bytes are; a few could pretend to be many.
    """
    places: dict[str, _Place] = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    for member in members:
        _, is_data, number = member.filename.rpartition("/data/")
        if not is_data:
            continue
        if number in places:
            raise ValueError(f"the tensor {number[:40]!r} is there twice")
        # Behind a header of 30 bytes, at whose end the lengths of the two fields in between are.
        file.seek(member.header_offset + 26)
        between = sum(int.from_bytes(file.read(2), "little") for _ in range(2))
        places[number] = _Place(member.header_offset + 30 + between, member.file_size)
    end = 0
    for start, size in sorted(places.values()):
        if start < end:
            raise ValueError("two tensors share bytes")
        end = start + size
    return places


def read_torch_file(path: Path) -> Stored:
    """Read an encoded state; the tensors are mapped, and whoever changes them changes a copy.

    torch reads an outline of the file, which has no room for tensors, and says what they are like;
    their bytes are found where the archive says. torch itself would map the file with memory set
    aside for all of it to be changed, which is refused for a file larger than memory.

    Raises:
        InvalidValue: if it is a file of another kind, or holds anything but plain tensors.
        ValueError, RuntimeError, zipfile.BadZipFile: the same, where nothing more can be said of
            it.
    """
    with path.open("rb") as file:
        pickled = _look_into(file, path)
        places = _places(file)
    try:
        content = torch.load(_outline(pickled, places), map_location="meta", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidValue(f"{path} holds something that is no tensor.") from error
    if not isinstance(content, dict) or set(content) != {"skeleton", "tensors"}:
        raise InvalidValue(f"{path} is a torch file but no checkpoint.")
    likes = content["tensors"]
    if not isinstance(likes, dict):
        raise InvalidValue(f"{path} is a torch file but no checkpoint.")
    if len(places) != len(likes):
        raise InvalidValue(f"{path} holds other tensors than it says.")
    mapped = map_file(path)
    tensors = {}
    for number, (name, like) in enumerate(likes.items()):  # as they were counted
        if not isinstance(name, str) or not _is_plain(like):
            raise InvalidValue(f"{path} holds a {str(name)[:40]!r} that is no tensor of its own.")
        start, size = places[str(number)]
        if size != math.prod(like.shape) * like.itemsize:
            raise InvalidValue(f"{path} holds less or more of {name[:40]!r} than it says.")
        tensors[name] = _filled(like, mapped, start)
    return content["skeleton"], tensors


def _look_into(file: BinaryIO, path: Path) -> bytes:
    """Return the pickle in a file, if it names nothing that no checkpoint names.

    The pickle is looked through, not followed.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise InvalidValue(f"{path} is compressed, which no checkpoint is.")
        pickles = [member for member in members if member.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InvalidValue(f"{path} is an archive but no checkpoint.")
        content = archive.read(pickles[0])
        orders = [member for member in members if member.filename.endswith("/byteorder")]
        if any(archive.read(order) != sys.byteorder.encode() for order in orders):
            raise InvalidValue(
                f"{path} was written on a computer with another order of bytes: expected "
                f"{sys.byteorder}-endian."
            )
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in _OTHER_WAYS:
            raise InvalidValue(f"{path} is pickled in a way that no checkpoint is.")
        if operation.name == "GLOBAL" and argument not in _NAMES:
            name = str(argument).replace(" ", ".")
            raise InvalidValue(f"{path} asks for {name!r}, which is never loaded.")
    return content


def _outline(pickled: bytes, places: Iterable[str]) -> BinaryIO:
    """An archive as torch would write it, had its tensors no bytes."""
    outline = io.BytesIO()
    with zipfile.ZipFile(outline, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", sys.byteorder)
        archive.writestr("archive/version", "3\n")
        for number in places:
            archive.writestr(f"archive/data/{number}", b"")
    outline.seek(0)
    return outline


def _is_plain(tensor: Any) -> bool:
    """Whether its bytes, each of them once, are all there is to it."""
    return (
        type(tensor) is torch.Tensor
        and tensor.layout == torch.strided
        and tensor.device.type == "meta"
        and tensor.storage_offset() == 0
        and fills(tensor.shape, tensor.stride())
    )


def _filled(like: torch.Tensor, mapped: mmap.mmap, start: int) -> torch.Tensor:
    """A tensor like another, from bytes in a file."""
    if not like.numel():
        return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype)
    line = bytes_at(mapped, start, like.nbytes, like.itemsize).view(like.dtype)
    return line.as_strided(like.shape, like.stride())
