"""Checkpoints on disk: a file (torch) or a directory (torchsnapshot), replaced as a whole.

A torch checkpoint is written beside its name and renamed. A directory that is not empty cannot be
replaced in one step, so a torchsnapshot checkpoint is a link to a versioned sibling and the link is
swapped; `torchsnapshot.Snapshot(path)` opens it as its users expect.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from hookrl.checkpoints.codec import decode, encode
from hookrl.errors import InvalidValue, MissingFile, did_you_mean

BACKENDS = ("torch", "torchsnapshot")
_ENTRY = "checkpoint"


def chosen_backend() -> str:
    """Return the backend that the environment variable ``CKPT_BACKEND`` names; "torch" if unset.

    Raises:
        InvalidValue: if it names no backend.
    """
    name = os.environ.get("CKPT_BACKEND", "torch")
    if name not in BACKENDS:
        raise InvalidValue(
            f"CKPT_BACKEND={name!r}{did_you_mean(name, BACKENDS)}: expected one of "
            f"{', '.join(BACKENDS)}."
        )
    return name


def save(state: Any, path: str | Path, backend: str | None = None) -> None:
    """Write `state` to `path`, which at every instant holds the old or the new checkpoint."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    skeleton, tensors = encode(state)
    write = _save_torch if (backend or chosen_backend()) == "torch" else _save_torchsnapshot
    write(skeleton, tensors, path)


def load(path: str | Path) -> Any:
    """Read a checkpoint of either format.

    Raises:
        MissingFile: if there is nothing at `path`.
    """
    path = Path(path)
    if path.is_dir():
        return decode(*_load_torchsnapshot(path))
    if not path.exists():
        raise MissingFile(f"there is no checkpoint {path}.")
    content = torch.load(path, map_location="cpu", weights_only=True)
    return decode(content["skeleton"], content["tensors"])


def _save_torch(skeleton: str, tensors: dict[str, torch.Tensor], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            torch.save({"skeleton": skeleton, "tensors": tensors}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _save_torchsnapshot(skeleton: str, tensors: dict[str, torch.Tensor], path: Path) -> None:
    import torchsnapshot

    version = _next_version(path)
    # torchsnapshot does not take tensors without elements: their shape and type say it all.
    empty = {
        name: [list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
        for name, tensor in tensors.items()
        if not tensor.numel()
    }
    full = {name: tensor.contiguous() for name, tensor in tensors.items() if name not in empty}
    entry = torchsnapshot.StateDict(
        skeleton=skeleton, names=",".join(full), empty=repr(empty), tensors=full
    )
    torchsnapshot.Snapshot.take(str(version), {_ENTRY: entry})
    for file in (*version.rglob("*"), version):
        _sync_directory(file)
    link = path.with_name(f".{path.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(version.name)
    os.replace(link, path)
    _sync_directory(path.parent)
    for old in _versions(path):
        if old != version:
            shutil.rmtree(old)


def _load_torchsnapshot(path: Path) -> tuple[str, dict[str, torch.Tensor]]:
    import ast

    import torchsnapshot

    snapshot = torchsnapshot.Snapshot(str(path.resolve()))

    def read(name: str) -> Any:
        return snapshot.read_object(f"0/{_ENTRY}/{name}")

    names = [name for name in read("names").split(",") if name]
    tensors = {name: read(f"tensors/{name}") for name in names}
    for name, (shape, dtype) in ast.literal_eval(read("empty")).items():
        tensors[name] = torch.empty(shape, dtype=getattr(torch, dtype))
    return read("skeleton"), tensors


def _versions(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f".{path.name}.v*"))


def _next_version(path: Path) -> Path:
    if path.is_dir() and not path.is_symlink():
        raise InvalidValue(
            f"{path} is a directory that is no checkpoint: expected a new name or a checkpoint."
        )
    numbers = [int(version.suffix[2:]) for version in _versions(path)]
    return path.with_name(f".{path.name}.v{max(numbers, default=0) + 1}")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
