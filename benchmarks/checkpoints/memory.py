"""How much memory a process takes beyond what it had, seen from another process; and a reserve.

Anonymous and shared memory count, mapped files do not: the system can take those pages back at any
time. Looking from outside costs the process nothing, and no global lock keeps it from looking.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

PERIOD = 0.002
"""Seconds between two looks."""
_COUNTED = ("RssAnon:", "RssShmem:")


def watch(connection: Connection) -> None:
    """Serve `MemoryPeak`, in a process of its own, until the other end is closed."""
    while True:
        try:
            process: int = connection.recv()
        except EOFError:
            return
        before = peak = anonymous(process)
        connection.send(None)
        while not connection.poll(PERIOD):
            peak = max(peak, anonymous(process))
        connection.recv()
        connection.send(max(peak, anonymous(process)) - before)


def anonymous(process: int) -> int:
    """Return the bytes that a process holds in memory and that belong to no file."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(_COUNTED))


class MemoryPeak:
    """While it is entered, this process is watched.

    Args:
        watcher: the other end is `watch`'s.
    """

    extra: int
    """Bytes at the peak beyond those at the start; there when it has been left."""

    def __init__(self, watcher: Connection) -> None:
        self._watcher = watcher

    def __enter__(self) -> Self:
        self._watcher.send(os.getpid())
        self._watcher.recv()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watcher.send(None)
        self.extra = self._watcher.recv()


class Reserve:
    """Memory that is held until it is needed.

    A virtual machine hands memory that nobody uses back to its host within seconds, and getting it
    again can take seconds per GB, which would count as the time of whoever happens to need it.

    Args:
        size: bytes of a piece.
    """

    PIECES = 2
    """One for the files, one for a copy."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: list[np.ndarray] = []

    def hold(self, pieces: int) -> None:
        """Hold so many pieces; the others the system has for what needs memory next."""
        del self._held[pieces:]
        while len(self._held) < pieces:
            self._held.append(np.ones(self._size, dtype=np.uint8))
