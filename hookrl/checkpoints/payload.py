"""The two formats in which an encoded state lies on disk.

======================= ==========================================================
``torch``               one file, for ``torch.load(weights_only=True)``
``torchsnapshot``       one directory, for ``torchsnapshot.Snapshot(path)``
======================= ==========================================================

Both hold the same skeleton and tensors, and reading either executes nothing.
"""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path
from typing import Any

from hookrl.checkpoints.codec import Encoded, Stored, decode
from hookrl.checkpoints.disk import Disk
from hookrl.checkpoints.snapshot import read_snapshot, write_snapshot
from hookrl.checkpoints.torch_file import read_torch_file, write_torch_file
from hookrl.errors import InvalidValue

NAMES = {"torch": "state.pt", "torchsnapshot": "state"}
"""What the payload of each backend is called."""

_MALFORMED = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError),
    *(RuntimeError, EOFError, NotImplementedError, zipfile.BadZipFile),
)
"""What malformed files make of the code that reads them."""


def write_payload(encoded: Encoded, directory: Path, backend: str, disk: Disk) -> None:
    """Write an encoded state into a directory, under its backend's name; nothing is synced.

    Raises:
        OSError: if the disk is full or does not answer.
    """
    path = directory / NAMES[backend]
    if backend == "torch":
        disk.write(path, lambda file: write_torch_file(encoded, file))
    else:
        disk.make_directory(path)
        disk.fill(path, lambda directory: write_snapshot(encoded, directory))


def read_payload(path: Path) -> Stored:
    """Read an encoded state of either format; large tensors are mapped, not read.

    Raises:
        InvalidValue: if what is there is not the state of a checkpoint.
        OSError: if it cannot be read.
    """
    if not path.is_dir() and not path.is_file():
        raise InvalidValue(f"{path} is neither a file nor a directory.")
    try:
        return read_snapshot(path) if path.is_dir() else read_torch_file(path)
    except InvalidValue:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of the file
            raise
        raise _unreadable(path, error) from error
    except _MALFORMED as error:
        raise _unreadable(path, error) from error


def read_state(path: Path) -> Any:
    """Read a state of either format; tensors are on the CPU, and large ones are mapped, not read.

    Raises:
        InvalidValue: if what is there is not the state of a checkpoint.
        OSError: if it cannot be read.
    """
    encoded = read_payload(path)
    try:
        return decode(*encoded)
    except InvalidValue as error:
        raise InvalidValue(f"{path} cannot be read as a checkpoint: {error}") from None


def _unreadable(path: Path, error: Exception) -> InvalidValue:
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return InvalidValue(f"{path} cannot be read as a checkpoint ({reason}).")
