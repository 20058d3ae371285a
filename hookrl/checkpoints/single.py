"""One checkpoint at a path: a ``.pt`` file for torch, a directory for torchsnapshot.

The path is a link into a hidden folder beside it, which holds the newest checkpoint and the one
before: a directory that is not empty cannot be replaced in one step, a link can, and a checkpoint
that is damaged later does not leave its owner with nothing. So a path takes the space of two
checkpoints, and of three while one is written.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hookrl.checkpoints.codec import Encoded, encode
from hookrl.checkpoints.disk import DISK, Disk
from hookrl.checkpoints.manifest import NAME as MANIFEST
from hookrl.checkpoints.manifest import Manifest
from hookrl.checkpoints.payload import NAMES, read_state
from hookrl.checkpoints.versions import Versions, read_directory
from hookrl.errors import InvalidValue, MissingFile, did_you_mean

BACKENDS = tuple(NAMES)
_PAYLOADS = set(NAMES.values())


def chosen_backend() -> str:
    """Return the backend that the environment variable ``CKPT_BACKEND`` names; "torch" if unset.

    Raises:
        InvalidValue: if it names no backend.
    """
    return known_backend(os.environ.get("CKPT_BACKEND", "torch"), "CKPT_BACKEND")


def known_backend(backend: str | None, where: str = "backend") -> str:
    """Return `backend` if there is one of that name; for None, the chosen one.

    Raises:
        InvalidValue: if there is not.
    """
    if backend is None:
        return chosen_backend()
    if backend not in BACKENDS:
        raise InvalidValue(
            f"{where}={backend!r}{did_you_mean(backend, BACKENDS)}: expected one of "
            f"{', '.join(BACKENDS)}."
        )
    return backend


class SingleCheckpoint:
    """The checkpoint at a path.

    Args:
        path: where it is, or will be.
        disk: does what changes the disk.
    """

    def __init__(self, path: str | Path, disk: Disk = DISK) -> None:
        self.path = Path(path)
        self.disk = disk
        self.versions = Versions(self.path.parent / f".{self.path.name}.versions", disk)

    def check_place(self) -> None:
        """Check that nothing else is at the path.

        Raises:
            InvalidValue: if it is a directory of another kind.
        """
        if self.path.is_dir() and not self.path.is_symlink():
            raise InvalidValue(
                f"{self.path} is a directory that is no checkpoint: expected a new name or a "
                "checkpoint."
            )

    def write(
        self, encoded: Encoded, backend: str | None = None, about: Mapping[str, Any] | None = None
    ) -> Manifest:
        """Write a checkpoint; at every instant the path holds the old or the new one.

        Args:
            encoded: what `encode` returned.
            backend: "torch" or "torchsnapshot"; None: what `chosen_backend` says.
            about: plain values for the manifest.

        Raises:
            InvalidType: for an `about` that cannot be stored; nothing is written then.
            InvalidValue: for an unknown backend, or if the path is a directory of another kind.
            OSError: if the disk is full or does not answer; the old checkpoint is still there.
        """
        backend = known_backend(backend)
        self.check_place()
        versions, before = self.versions, self.number()
        number = max(versions.numbers(), default=0) + 1
        manifest = versions.write(number, encoded, backend, about or {})
        target = (versions.path(number) / manifest.payload).relative_to(self.path.parent)
        self.disk.point(self.path, target.as_posix())
        self.disk.sync(self.path.parent)
        # The newest of those up to what was at the path: after it there may be one that never was
        # there, since a crash came between its writing and the link.
        older = [] if before is None else [n for n in versions.numbers() if n <= before]
        versions.keep([*older[-1:], number])
        return manifest

    def read(self) -> tuple[Any, Manifest | None]:
        """Return the state, and what the checkpoint says of itself; tensors are on the CPU.

        A link to a checkpoint and the directory of one are read as well. What was copied away from
        its manifest is read without being verified, with a warning.

        Raises:
            MissingFile: if there is nothing at the path.
            CorruptCheckpoint: if it is damaged, and so is the one before it.
            InvalidValue: if what is there is not a checkpoint.
            OSError: if it cannot be read.
        """
        if (number := self.number()) is not None:
            return self.versions.read_newest(number)
        if not self.path.exists():
            raise MissingFile(f"there is no checkpoint {self.path}.")
        place = self.path.resolve()
        for directory in (place, place.parent):
            if (directory / MANIFEST).is_file() and (directory == place or place.name in _PAYLOADS):
                return read_directory(directory)
        state = read_state(self.path)
        warnings.warn(
            f"{self.path} has no manifest beside it, so that damage to it cannot be seen.",
            stacklevel=3,
        )
        return state, None

    def number(self) -> int | None:
        """Return the number of the version that is at the path; None: it is none of them."""
        if not self.path.is_symlink():
            return None
        target = self.path.parent / self.path.readlink()
        folder, name = target.parent.parent, target.parent.name.partition(".")[0]
        return int(name) if folder == self.versions.folder and name.isdecimal() else None


def save(
    state: Any,
    path: str | Path,
    backend: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write `state` to `path`, which at every instant holds the old or the new checkpoint.

    Args:
        state: tensors, plain values, and containers of those.
        path: where; a checkpoint of either format may be there and is replaced.
        backend: "torch" or "torchsnapshot"; None: what `chosen_backend` says.
        about: plain values to be known without reading the state.

    Raises:
        InvalidType: for a value that no checkpoint can hold; nothing is written then.
        InvalidValue: for an unknown backend, or if `path` is a directory of another kind.
        OSError: if the disk is full or does not answer; the old checkpoint is still there.
    """
    known_backend(backend)
    return SingleCheckpoint(path).write(encode(state), backend, about)


def load(path: str | Path) -> Any:
    """Read a checkpoint of either format; tensors are on the CPU.

    Raises:
        MissingFile: if there is nothing at `path`.
        InvalidValue: if what is there is not a checkpoint, or it is damaged and so is the one
            before it.
    """
    return SingleCheckpoint(path).read()[0]
