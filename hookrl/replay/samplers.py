"""Which transitions are drawn, and by default: all alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from hookrl.errors import InvalidType
from hookrl.replay.ring import Ring
from hookrl.state import same_keys

Draw = tuple[np.ndarray, np.ndarray | None]
"""Rows int64 ``[B]`` and their importance weights float32 ``[B]``, None: all 1."""

_REDRAWS = 16


class Sampler(ABC):
    """Draws rows of one replay buffer's ring, with replacement."""

    def start(self, ring: Ring) -> None:  # noqa: B027 - not every sampler remembers something
        """The ring exists, empty; nothing else is drawn from before the next call."""

    def written(self, ring: Ring, columns: slice) -> None:  # noqa: B027
        """Columns of the ring hold new transitions."""

    @abstractmethod
    def draw(self, ring: Ring, batch_size: int, rng: np.random.Generator) -> Draw:
        """Draw rows, of which at least one may be drawn."""

    def update_priority(self, rows: np.ndarray, priorities: np.ndarray) -> None:
        """Set the priorities of rows that may be drawn.

        Raises:
            InvalidType: if the sampler has none.
        """
        raise InvalidType(
            f"update_priority on a replay buffer whose sampler is {type(self).__name__}: expected "
            "sampler=PrioritizedSampler()."
        )

    def state_dict(self, ring: Ring | None) -> dict[str, Any]:
        """Return the state as tensors and plain values; `ring` is None before the first batch."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], ring: Ring | None, filled: int) -> None:
        """Restore the state, or fail before anything changed.

        Args:
            state: of a sampler whose ring had the same size.
            ring: the ring, whose contents are going to be replaced; None before the first batch.
            filled: columns that it is going to hold.
        """
        same_keys(state, (), owner=type(self).__name__)


class UniformSampler(Sampler):
    """Draws every transition with the same probability, with replacement.

    So do the published implementations of DQN and SAC.
    """

    def draw(self, ring: Ring, batch_size: int, rng: np.random.Generator) -> Draw:
        """Draw rows; those that may not be drawn are drawn again."""
        rows = self._written_rows(ring, rng, batch_size)
        if ring.count < ring.envs * ring.filled:
            again = np.flatnonzero(~ring.valid.take(rows))
            for _ in range(_REDRAWS):
                if not again.size:
                    return rows, None
                rows[again] = self._written_rows(ring, rng, again.size)
                again = again[~ring.valid.take(rows[again])]
            # So few may be drawn that it is faster to list them.
            rows[again] = rng.choice(np.flatnonzero(ring.valid), again.size)
        return rows, None

    @staticmethod
    def _written_rows(ring: Ring, rng: np.random.Generator, n: int) -> np.ndarray:
        # Half the time of `integers`. The largest number below 1 times a count is below it, and of
        # a ring of 2**30 rows none is drawn more often than another by 1 in 2**23.
        drawn = (rng.random(n) * (ring.envs * ring.filled)).astype(np.int64)
        if ring.envs == 1 or ring.full:
            return drawn
        envs, columns = np.divmod(drawn, ring.filled)
        return envs * ring.steps + columns
