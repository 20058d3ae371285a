"""Where transitions go, which may be drawn, and how far a return may reach from each.

All environments write side by side into a table ``[envs, steps]``, column after column, and from
the beginning again when it is full. A *row* is a place in that table, ``env * steps + column``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class Ring:
    """The bookkeeping of a ring of transitions, on the host; it holds no transitions itself.

    Args:
        envs: environments.
        steps: columns.
    """

    def __init__(self, envs: int, steps: int) -> None:
        self.envs = envs
        self.steps = steps
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        rows = self.envs * self.steps
        self.position = 0
        """The column that is written next."""
        self.filled = 0
        """Columns that hold transitions: the first ones."""
        self.count = 0
        """Rows that may be drawn."""
        self.written = 0
        """Rows that might be drawn when they were written, over all time."""
        self.valid = np.zeros(rows, dtype=np.bool_)
        """Which rows may be drawn: those that were written and not masked out."""
        self.stop = np.ones(rows, dtype=np.bool_)
        """Where a return ends, whatever follows: an episode ended, what follows is masked out or
        belongs to something else, or it is the newest row."""
        self.valid_grid = self.grid(self.valid)
        self.stop_grid = self.grid(self.stop)

    @property
    def newest(self) -> int:
        """The column that was written last."""
        return (self.position or self.steps) - 1

    @property
    def full(self) -> bool:
        """Does the next column overwrite the oldest?"""
        return self.filled == self.steps

    def grid(self, flags: np.ndarray) -> np.ndarray:
        """View of one value per row as ``[envs, steps]``."""
        return flags.reshape(self.envs, self.steps)

    def pieces(self, steps: int) -> Iterator[tuple[slice, slice]]:
        """Where the next `steps` columns go: parts of the source, and the columns they go to."""
        first = min(steps, self.steps - self.position)
        yield slice(0, first), slice(self.position, self.position + first)
        if first < steps:
            yield slice(first, steps), slice(0, steps - first)

    def rows(self, columns: slice) -> np.ndarray:
        """Return the rows of some columns, int64 ``[envs * columns]``."""
        starts = np.arange(self.envs)[:, None] * self.steps
        return (starts + np.arange(columns.start, columns.stop)).ravel()

    def column_rows(self, column: int) -> slice:
        """Return the rows of one column."""
        return slice(column, None, self.steps)

    def advance(self, steps: int) -> None:
        """Move on by `steps` columns, which have been written."""
        self.position = (self.position + steps) % self.steps
        self.filled = min(self.filled + steps, self.steps)

    def following(self, rows: np.ndarray) -> np.ndarray:
        """Return the row behind each, in the same environment; behind the last column the first."""
        following = rows + 1
        following -= (following % self.steps == 0) * self.steps
        return following

    def next_of_return(self, rows: np.ndarray) -> np.ndarray:
        """Return the next row of each return; where one has ended it stays where it is."""
        return np.where(self.stop.take(rows), rows, self.following(rows))
