"""What a ring held at one instant, read while the ring goes on.

Copying a large buffer would stop training for as long as that takes. So nothing is copied at
first: before a column of the ring is overwritten, what it held is put aside, and whoever reads
finds it there. Training hardly waits, and as much memory is taken as is overwritten meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import numpy as np

from hookrl.replay.columns import HostColumn
from hookrl.replay.ring import Ring
from hookrl.replay.spec import Key
from hookrl.state import LiveTensor

_PIECE = 1 << 24
"""Bytes that are read at once. With small ones the reader would ask for the interpreter so often
that training is slowed by handing it over."""
_FIRST_ROOM = 64


class LiveValues:
    """The values of a ring's filled columns, ``[envs, filled, …]`` of each leaf.

    Args:
        columns: the leaves.
        ring: says what is filled, now.
    """

    def __init__(self, columns: Mapping[Key, HostColumn], ring: Ring) -> None:
        self._grids = {key: column.grid(ring.envs) for key, column in columns.items()}
        self._lock = threading.Lock()
        self._aside: dict[Key, np.ndarray] = {}
        self._room = 0
        self._kept = 0
        self._places = np.zeros(ring.filled, dtype=np.int32)
        """Where the values of each column were put aside, counted from 1; 0: they were not."""
        self.tensors = {key: LiveColumn(self, key, column, ring) for key, column in columns.items()}

    @property
    def aside(self) -> int:
        """Columns of the ring that were overwritten while there was something left to read."""
        return self._kept

    def keep(self, columns: slice) -> None:
        """Put aside what these columns hold; they are about to be overwritten."""
        places = self._places[columns]
        fresh = np.flatnonzero(places == 0)
        if not (fresh.size and self._grids):
            return
        # All of them, but for a ring that comes round while it is read: a slice is copied faster.
        whole = fresh.size == places.size
        old = slice(columns.start, columns.start + fresh.size) if whole else columns.start + fresh
        with self._lock:
            kept = slice(self._kept, self._kept + fresh.size)
            if kept.stop > self._room:
                self._make_room(kept.stop)
            for key, grid in self._grids.items():
                self._aside[key][:, kept] = grid[:, old]
            places[fresh] = np.arange(kept.start, kept.stop) + 1
            self._kept = kept.stop

    def read(self, key: Key, env: int, columns: slice, into: np.ndarray) -> None:
        """Copy the values of one environment as they were, ``[columns, …]``."""
        # The ring goes on meanwhile. What it overwrites it has put aside before, so whatever is
        # torn here is replaced below; what is put aside after that was still whole here.
        into[...] = self._grids[key][env, columns]
        with self._lock:
            places = self._places[columns]
            overwritten = np.flatnonzero(places)
            if overwritten.size:
                into[overwritten] = self._aside[key][env, places[overwritten] - 1]

    def release(self, key: Key) -> None:
        """Nothing more is read of a leaf."""
        with self._lock:
            self._grids.pop(key, None)
            self._aside.pop(key, None)

    def _make_room(self, columns: int) -> None:
        self._room = max(2 * self._room, columns, _FIRST_ROOM)
        for key, grid in self._grids.items():
            before = self._aside.get(key)
            self._aside[key] = np.empty((grid.shape[0], self._room, *grid.shape[2:]), grid.dtype)
            if before is not None:
                self._aside[key][:, : self._kept] = before[:, : self._kept]


class LiveColumn(LiveTensor):
    """One leaf of live values, ``[envs, filled, …]``.

    Args:
        values: all leaves.
        key: of this one.
        column: where it lies.
        ring: says what is filled.
    """

    def __init__(self, values: LiveValues, key: Key, column: HostColumn, ring: Ring) -> None:
        self.dtype = column.dtype
        self.shape = (ring.envs, ring.filled, *column.shape)
        self._values = values
        self._key = key
        self._stored_as = column.grid(ring.envs).dtype

    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes of its elements in row-major order; each piece is good until the next."""
        envs, filled, *shape = self.shape
        size = max(int(np.prod(shape)) * self.dtype.itemsize, 1)
        rows = min(max(_PIECE // size, 1), filled)
        piece = np.empty((rows, *shape), self._stored_as)
        for env in range(envs):
            for start in range(0, filled, rows):
                columns = slice(start, min(start + rows, filled))
                part = piece[: columns.stop - start]
                self._values.read(self._key, env, columns, part)
                if part.size:
                    yield part.data.cast("B")
        self.release()

    def release(self) -> None:
        """Let the ring go on without regard to this leaf."""
        self._values.release(self._key)
