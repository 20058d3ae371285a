"""Prioritized replay: transitions with larger errors are drawn more often."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hookrl.errors import InvalidValue
from hookrl.replay.columns import as_array
from hookrl.replay.ring import Ring
from hookrl.replay.samplers import Draw, Sampler
from hookrl.replay.sum_tree import SumTree
from hookrl.state import same_keys


class PrioritizedSampler(Sampler):
    """Proportional prioritisation after Schaul et al., https://arxiv.org/abs/1511.05952.

    Row i is drawn with probability ``P(i) = p_i^alpha / Σ p^alpha`` where ``p_i`` is its priority
    plus `epsilon` (section 3.3). New rows get the largest priority seen so far, at first 1
    (algorithm 1, line 6). The total is cut into as many equal ranges as rows are drawn, one from
    each (appendix B.2.1). The importance weights ``(N · P(i))^-beta`` are divided by their largest
    over the whole buffer (section 3.4), as torchrl does, and not over the batch, as others do:
    then a row's weight does not depend on which others were drawn with it.

    Args:
        alpha: how much priorities count; 0: not at all.
        beta: how much of the bias the weights correct; 1: all of it. The paper anneals it to 1:
            set the attribute.
        epsilon: keeps a row with error 0 from never being drawn again; more than 0.

    Raises:
        InvalidValue: for values out of range.
    """

    def __init__(self, alpha: float = 0.6, beta: float = 0.4, epsilon: float = 1e-6) -> None:
        if not (0 <= alpha < math.inf and 0 <= beta < math.inf and 0 < epsilon < math.inf):
            raise InvalidValue(
                f"PrioritizedSampler(alpha={alpha}, beta={beta}, epsilon={epsilon}): expected "
                "alpha and beta of at least 0 and epsilon above 0."
            )
        self.alpha = alpha
        self.beta = beta
        self.epsilon = epsilon
        self._max_priority = 1.0
        self._tree = SumTree(0)

    def start(self, ring: Ring) -> None:
        """Make a tree for the ring: nothing in it may be drawn."""
        self._tree = SumTree(ring.envs * ring.steps)

    def written(self, ring: Ring, columns: slice) -> None:
        """Give new rows the largest priority, and those that may never be drawn none."""
        rows = ring.rows(columns)
        self._tree.set(rows, ring.valid.take(rows) * self._powers(self._max_priority))

    def draw(self, ring: Ring, batch_size: int, rng: np.random.Generator) -> Draw:
        """Draw one row from each of `batch_size` equal parts of the total priority."""
        parts = np.arange(batch_size) + rng.random(batch_size)
        rows = self._tree.find(parts * (self._tree.total / batch_size))
        # (N P)^-beta over its largest value, which the smallest P has: N and the total cancel.
        ratio = self._tree.get(rows) / self._tree.smallest
        return rows, (ratio**-self.beta).astype(np.float32)

    def update_priority(self, rows: np.ndarray, priorities: np.ndarray) -> None:
        """Set priorities; of duplicates the last one wins."""
        if not rows.size:
            return
        self._tree.set(rows, self._powers(priorities))
        self._max_priority = max(self._max_priority, float(priorities.max()))

    def state_dict(self, ring: Ring | None) -> dict[str, Any]:
        """Return the settings, the largest priority and the tree's values, ``[envs, filled]``."""
        values = torch.zeros(0, 0, dtype=torch.float64)
        if ring is not None:
            values = torch.from_numpy(ring.grid(self._tree.values)[:, : ring.filled].copy())
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "epsilon": self.epsilon,
            "max_priority": self._max_priority,
            "values": values,
        }

    def load_state_dict(self, state: Mapping[str, Any], ring: Ring | None, filled: int) -> None:
        """Restore the state.

        Raises:
            InvalidValue: if alpha or epsilon are not the same, or the values have another shape.
        """
        same_keys(
            state, ("alpha", "beta", "epsilon", "max_priority", "values"), owner=type(self).__name__
        )
        for name in ("alpha", "epsilon"):
            if state[name] != getattr(self, name):
                raise InvalidValue(
                    f"the state for PrioritizedSampler has {name}={state[name]}, expected "
                    f"{getattr(self, name)}: its priorities were computed with it."
                )
        values = state["values"]
        expected = (ring.envs, filled) if ring is not None and filled else None
        if expected is not None and (values.shape != expected or values.dtype != torch.float64):
            raise InvalidValue(
                f"the state for PrioritizedSampler has values {values.dtype} "
                f"{list(values.shape)}, expected torch.float64 {list(expected)}."
            )
        self.beta = state["beta"]
        self._max_priority = float(state["max_priority"])
        if ring is not None:
            self.start(ring)
            if filled:
                self._tree.set(ring.rows(slice(0, filled)), as_array(values).ravel())

    def _powers(self, priorities: Any) -> Any:
        return (priorities + self.epsilon) ** self.alpha
