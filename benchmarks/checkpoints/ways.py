"""The ways of saving that are compared, and of loading what they saved.

Each does it as its documentation shows. torchsnapshot and torch.distributed.checkpoint take flat
mappings of tensors, and keys of text, so they get the state as `hookrl.checkpoints.encode` takes it
apart. Nobody needs a process group: one process saves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchsnapshot
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import async_save as dcp_async_save
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save
from torchsnapshot.manifest import ChunkedTensorEntry, TensorEntry
from torchsnapshot.serialization import string_to_dtype

from benchmarks.checkpoints.names import BACKGROUND, HOOKRL, MAPPED, TORCH_SAVE
from benchmarks.checkpoints.subjects import Subject
from hookrl.checkpoints import CheckpointStore, decode, encode

Finish = Callable[[], object]
"""Waits for what goes on in the background."""


@dataclass(frozen=True)
class Load:
    """A way of loading."""

    name: str
    run: Callable[[Subject, Path], object]
    mapped: bool = False
    """Whether it loads into storage that is mapped from files."""


@dataclass(frozen=True)
class Way:
    """A way of saving."""

    name: str
    begin: Callable[[Subject, Path], Finish | None]
    """Saves into a directory that is not there yet; in the background, returns how to wait."""
    loads: tuple[Load, ...] = ()
    """The ways to load it; they are listed at one of the ways that write the same."""
    syncs: bool = False
    """Whether all it has written would survive a power cut when it is over."""


def _by_hookrl(backend: str, *, background: bool) -> Callable[[Subject, Path], Finish | None]:
    def begin(subject: Subject, directory: Path) -> Finish | None:
        trainer = subject.trainer
        trainer.checkpoints = CheckpointStore(directory, backend=backend)
        trainer.save_in_background = background
        trainer.save_trainer(force_save=True)
        return trainer.finish_saving if background else None

    return begin


def _load_by_hookrl(subject: Subject, directory: Path) -> None:
    subject.trainer.load_from_file(directory)


def _by_torch(subject: Subject, directory: Path) -> None:
    directory.mkdir()
    torch.save(subject.state(), directory / "state.pt")


def _load_by_torch(subject: Subject, directory: Path) -> None:
    subject.load(torch.load(directory / "state.pt", weights_only=True))


def _map_by_torch(subject: Subject, directory: Path) -> None:
    subject.load(torch.load(directory / "state.pt", weights_only=True, mmap=True))


def _flat(subject: Subject) -> dict[str, Any]:
    skeleton, tensors = encode(subject.state())
    return {"skeleton": skeleton, **tensors}


def _load_flat(subject: Subject, flat: dict[str, Any]) -> None:
    subject.load(decode(flat.pop("skeleton"), flat))


def _by_torchsnapshot(subject: Subject, directory: Path) -> None:
    torchsnapshot.Snapshot.take(
        str(directory), {"state": torchsnapshot.StateDict(**_flat(subject))}
    )


def _load_by_torchsnapshot(subject: Subject, directory: Path) -> None:
    snapshot = torchsnapshot.Snapshot(str(directory))
    target = torchsnapshot.StateDict()
    for path, entry in snapshot.get_manifest().items():
        name = path.removeprefix("0/state/")
        if isinstance(entry, TensorEntry | ChunkedTensorEntry):
            target[name] = torch.empty(entry.shape, dtype=string_to_dtype(entry.dtype))
        elif name == "skeleton":
            target[name] = ""
    snapshot.restore({"state": target})
    _load_flat(subject, dict(target))


def _by_dcp(subject: Subject, directory: Path) -> None:
    dcp_save(_flat(subject), checkpoint_id=directory, no_dist=True)


def _by_dcp_in_background(subject: Subject, directory: Path) -> Finish:
    future: Any = dcp_async_save(_flat(subject), checkpoint_id=directory, no_dist=True)
    return future.result


def _load_by_dcp(subject: Subject, directory: Path) -> None:
    metadata = FileSystemReader(directory).read_metadata()
    target: dict[str, Any] = {
        name: torch.empty(kind.size, dtype=kind.properties.dtype)
        if isinstance(kind, TensorStorageMetadata)
        else None
        for name, kind in metadata.state_dict_metadata.items()
    }
    dcp_load(target, checkpoint_id=directory, no_dist=True)
    _load_flat(subject, target)


WAYS = (
    *(
        way
        for backend in HOOKRL
        for way in (
            Way(HOOKRL[backend], _by_hookrl(backend, background=False), syncs=True),
            Way(
                BACKGROUND[backend],
                _by_hookrl(backend, background=True),
                (
                    Load(HOOKRL[backend], _load_by_hookrl),
                    Load(MAPPED[backend], _load_by_hookrl, mapped=True),
                ),
                syncs=True,
            ),
        )
    ),
    Way(
        TORCH_SAVE,
        _by_torch,
        (
            Load("torch.load", _load_by_torch),
            Load("torch.load(mmap=True), into mapped storage", _map_by_torch, mapped=True),
        ),
    ),
    Way(
        "torchsnapshot.Snapshot.take",
        _by_torchsnapshot,
        (Load("torchsnapshot.Snapshot.restore", _load_by_torchsnapshot),),
    ),
    Way("dcp.save", _by_dcp, (Load("dcp.load", _load_by_dcp),)),
    Way("dcp.async_save", _by_dcp_in_background),
)
"""In the order in which they take turns; dcp is ``torch.distributed.checkpoint``."""
