"""An encoded state as a file for ``torch.load(weights_only=True)``."""

from __future__ import annotations

import pickle
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch._subclasses.fake_tensor import FakeTensorMode  # documented under that name
from torch.serialization import skip_data

from hookrl.checkpoints.codec import Encoded, Stored
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
        file.seek(places[str(number)])
        for piece in pieces(tensor):
            file.write(piece)


def _hollow(tensor: torch.Tensor | LiveTensor) -> torch.Tensor:
    """A tensor without memory that looks like another does once it is dense."""
    if isinstance(tensor, LiveTensor) or not fills(tensor.shape, tensor.stride()):
        return torch.empty(tensor.shape, dtype=tensor.dtype)
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)


def _places(file: BinaryIO) -> Mapping[str, int]:
    """Where in an archive the bytes of each tensor begin."""
    places = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    for member in members:
        _, is_data, number = member.filename.rpartition("/data/")
        if is_data:
            file.seek(member.header_offset + 26)
            places[number] = file.tell() + 4 + sum(struct.unpack("<HH", file.read(4)))
    return places


def read_torch_file(path: Path) -> Stored:
    """Read an encoded state; the tensors are mapped, and whoever changes them changes a copy.

    Raises:
        InvalidValue: if it is a file of another kind, or holds anything but plain tensors.
    """
    size = _look_into(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise InvalidValue(f"{path} holds something that is no tensor.") from error
    if not isinstance(content, dict) or set(content) != {"skeleton", "tensors"}:
        raise InvalidValue(f"{path} is a torch file but no checkpoint.")
    tensors = content["tensors"]
    if not isinstance(tensors, dict):
        raise InvalidValue(f"{path} is a torch file but no checkpoint.")
    storages: set[int] = set()
    for name, tensor in tensors.items():
        if not isinstance(name, str) or type(tensor) is not torch.Tensor or not _is_whole(tensor):
            raise InvalidValue(f"{path} holds a {str(name)[:40]!r} that is no tensor of its own.")
        if tensor.nbytes and tensor.data_ptr() in storages:
            raise InvalidValue(f"{path} holds a {name[:40]!r} that shares another's memory.")
        storages.add(tensor.data_ptr())
    if sum(tensor.nbytes for tensor in tensors.values()) != size:
        raise InvalidValue(f"{path} holds other tensors than it says.")
    return content["skeleton"], tensors


def _look_into(path: Path) -> int:
    """Return how many bytes of tensors there are, if nothing is named that no checkpoint names.

    The pickle is looked through, not followed.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise InvalidValue(f"{path} is compressed, which no checkpoint is.")
        pickles = [member for member in members if member.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InvalidValue(f"{path} is an archive but no checkpoint.")
        content = archive.read(pickles[0])
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in _OTHER_WAYS:
            raise InvalidValue(f"{path} is pickled in a way that no checkpoint is.")
        if operation.name == "GLOBAL" and argument not in _NAMES:
            name = str(argument).replace(" ", ".")
            raise InvalidValue(f"{path} asks for {name!r}, which is never loaded.")
    return sum(member.file_size for member in members if "/data/" in member.filename)


def _is_whole(tensor: torch.Tensor) -> bool:
    """Whether it has a storage of its own, and all of it: a few bytes can pretend to be many."""
    return (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and tensor.untyped_storage().nbytes() == tensor.nbytes
        and fills(tensor.shape, tensor.stride())
    )
