"""Checkpoints on disk: a file (torch) or a directory (torchsnapshot), replaced as a whole.

A torch checkpoint is written beside its name and renamed. A directory that is not empty cannot be
replaced in one step, so a torchsnapshot checkpoint is a link to a versioned sibling and the link is
swapped; `torchsnapshot.Snapshot(path)` opens it as its users expect.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from hookrl.checkpoints.codec import Encoded, decode, encode
from hookrl.errors import InvalidValue, MissingFile, did_you_mean
from hookrl.files import replacing

BACKENDS = ("torch", "torchsnapshot")
_ENTRY = "checkpoint"
_TAKEN_BY_TORCHSNAPSHOT = {
    *(torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool),
}
"""Types that it stores faithfully; bfloat16 fails when the number of elements is odd."""


def chosen_backend() -> str:
    """Return the backend that the environment variable ``CKPT_BACKEND`` names; "torch" if unset.

    Raises:
        InvalidValue: if it names no backend.
    """
    return _known(os.environ.get("CKPT_BACKEND", "torch"), "CKPT_BACKEND")


def save(state: Any, path: str | Path, backend: str | None = None) -> None:
    """Write `state` to `path`, which at every instant holds the old or the new checkpoint.

    Args:
        state: tensors, plain values, and containers of those.
        path: where; a checkpoint of either format may be there and is replaced.
        backend: "torch" or "torchsnapshot"; None: what `chosen_backend` says.

    Raises:
        InvalidType: for a value that no checkpoint can hold; nothing is written then.
        InvalidValue: for an unknown backend, or if `path` is a directory of another kind.
    """
    path = Path(path)
    backend = chosen_backend() if backend is None else _known(backend, "backend")
    if path.is_dir() and not path.is_symlink():
        raise InvalidValue(
            f"{path} is a directory that is no checkpoint: expected a new name or a checkpoint."
        )
    encoded = encode(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    (_save_torch if backend == "torch" else _save_torchsnapshot)(encoded, path)
    _sync(path.parent)
    current = path.resolve()
    for version in _versions(path).values():
        if version.resolve() != current:
            shutil.rmtree(version)


def load(path: str | Path) -> Any:
    """Read a checkpoint of either format; tensors are on the CPU.

    Raises:
        MissingFile: if there is nothing at `path`.
        InvalidValue: if what is there is not a checkpoint.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"there is no checkpoint {path}.")
    return decode(*(_load_torchsnapshot(path) if path.is_dir() else _load_torch(path)))


def _save_torch(encoded: Encoded, path: Path) -> None:
    skeleton, tensors = encoded
    compact = {name: _compact(tensor) for name, tensor in tensors.items()}
    # torch names the archive after a path, and refuses some names; an open file has none.
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save({"skeleton": skeleton, "tensors": compact}, file)


def _load_torch(path: Path) -> Encoded:
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or set(content) != {"skeleton", "tensors"}:
        raise InvalidValue(f"{path} is a torch file but no checkpoint.")
    return content["skeleton"], content["tensors"]


def _save_torchsnapshot(encoded: Encoded, path: Path) -> None:
    import torchsnapshot

    skeleton, tensors = encoded
    kinds = {
        name: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        for name, tensor in tensors.items()
    }
    entry = torchsnapshot.StateDict(
        skeleton=skeleton,
        kinds=json.dumps(kinds),
        # It does not take tensors without elements: their type and shape say it all.
        tensors={name: _storable(tensor) for name, tensor in tensors.items() if tensor.numel()},
    )
    version = path.with_name(f".{path.name}.v{max(_versions(path), default=0) + 1}")
    link = path.with_name(f".{path.name}.link")
    try:
        torchsnapshot.Snapshot.take(str(version), {_ENTRY: entry})
        for file in (*version.rglob("*"), version):
            _sync(file)
        link.unlink(missing_ok=True)
        link.symlink_to(version.name)
        os.replace(link, path)
    except BaseException:
        shutil.rmtree(version, ignore_errors=True)
        raise


def _load_torchsnapshot(path: Path) -> Encoded:
    import torchsnapshot

    if not (path / ".snapshot_metadata").exists():
        raise InvalidValue(f"{path} is a directory but no checkpoint.")
    snapshot = torchsnapshot.Snapshot(str(path.resolve()))
    manifest: dict[str, Any] = snapshot.get_manifest()
    if f"0/{_ENTRY}/skeleton" not in manifest:
        raise InvalidValue(f"{path} is a torchsnapshot directory but no checkpoint.")
    skeleton, kinds = (manifest[f"0/{_ENTRY}/{name}"].get_value() for name in ("skeleton", "kinds"))
    tensors = {}
    for name, (dtype_name, shape) in json.loads(kinds).items():
        tensor = torch.empty(shape, dtype=getattr(torch, dtype_name))
        if tensor.numel():
            snapshot.read_object(f"0/{_ENTRY}/tensors/{name}", obj_out=_storable(tensor))
        tensors[name] = tensor
    return skeleton, tensors


def _storable(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as something torchsnapshot takes: the tensor itself, or its bytes."""
    tensor = tensor.contiguous()
    if tensor.dtype in _TAKEN_BY_TORCHSNAPSHOT:
        return tensor
    # as_strided, since the stride of a dimension of size 1 may be anything.
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8)


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without the rest of the storage that it may be a small part of."""
    whole = tensor.untyped_storage().nbytes()
    return tensor.clone() if whole > tensor.numel() * tensor.element_size() else tensor


def _versions(path: Path) -> dict[int, Path]:
    """The directories that are, or were, the torchsnapshot checkpoint `path`, by number."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.v(\d+)")
    found = ((pattern.fullmatch(entry.name), entry) for entry in path.parent.iterdir())
    return {int(match[1]): entry for match, entry in found if match}


def _known(backend: str, where: str) -> str:
    if backend not in BACKENDS:
        raise InvalidValue(
            f"{where}={backend!r}{did_you_mean(backend, BACKENDS)}: expected one of "
            f"{', '.join(BACKENDS)}."
        )
    return backend


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
