"""Observations that no row of the ring shows: an episode's last, and the newest of all.

The next observation of a transition is the observation of the row behind it, so it is not stored
again. Where it is another one it lies here, in a compact table that grows with the number of such
rows, at most one for each row of the ring.
"""

from __future__ import annotations

import numpy as np

from hookrl.replay.columns import Column

_FIRST_SLOTS = 16


class Finals:
    """Which row has its next observation in which slot of the side table.

    The first slots, one for each environment, belong to the newest rows.

    Args:
        columns: the side table, one column for each leaf of an observation; at first with
            `Finals.initial_rows` rows.
        envs: environments.
        rows: rows of the ring.
    """

    def __init__(self, columns: list[Column], envs: int, rows: int) -> None:
        self.columns = columns
        self.envs = envs
        self.slots = np.full(rows, -1, dtype=np.int32)
        """The slot of each row of the ring; -1: the row behind shows the next observation."""
        self._free: list[int] = []
        self._used = envs

    @staticmethod
    def initial_rows(envs: int) -> int:
        """Rows of the side table to begin with."""
        return envs + _FIRST_SLOTS

    @staticmethod
    def most_rows(envs: int, rows: int) -> int:
        """Rows that the side table of a ring of so many rows may come to have."""
        return envs + max(rows, _FIRST_SLOTS)

    def clear(self) -> None:
        """Forget everything."""
        self.slots[:] = -1
        self._free.clear()
        self._used = self.envs

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Give `rows`, which have none, a slot each, and return these, int64 ``[n]``."""
        recycled = max(len(self._free) - len(rows), 0)
        slots = self._free[recycled:]
        del self._free[recycled:]
        fresh = len(rows) - len(slots)
        slots.extend(range(self._used, self._used + fresh))
        self._used += fresh
        if self._used > self.columns[0].rows:
            room = min(2 * self._used, self.most_rows(self.envs, len(self.slots)))
            for column in self.columns:
                column.grow(room)
        self.slots[rows] = slots
        return np.array(slots, dtype=np.int64)

    def release(self, slots: np.ndarray) -> None:
        """Take back the slots of rows that are about to be overwritten: a view of `self.slots`."""
        used = slots[slots >= self.envs]
        if used.size:
            self._free.extend(used.tolist())
        slots[...] = -1
