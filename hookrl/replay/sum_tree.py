"""A sum-tree over arrays: draws in proportion to priority, without Python per element.

Why NumPy and not torch: a step down or up the tree is a handful of operations on as many numbers as
there are draws, so it costs what *calling* the operations costs, and NumPy calls are three to five
times cheaper than torch's. Why float64: prefix sums over a million priorities need more than the 24
bits of float32. Why binary: with batches of some hundred rows wider nodes were slower to descend.
"""

from __future__ import annotations

import numpy as np


class SumTree:
    """Non-negative values in a row, with their sum, their smallest, and search by prefix sum.

    Every node is computed from its two children, never by adding differences, so the tree depends
    on its values alone and not on the order in which they came: no drift, and one that is filled
    from saved values equals the original to the bit.

    Args:
        size: number of values; all are 0 at first.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._depth = max(size - 1, 0).bit_length()
        self._first_leaf = 1 << self._depth
        # Node 1 is the root, 2k and 2k+1 are the children of k.
        self._sums = np.zeros(2 * self._first_leaf)
        self._smallest = np.full(2 * self._first_leaf, np.inf)

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self._sums[1])

    @property
    def smallest(self) -> float:
        """The smallest value above 0; infinite if there is none."""
        return float(self._smallest[1])

    @property
    def values(self) -> np.ndarray:
        """All values, float64 ``[size]``: a view."""
        return self._sums[self._first_leaf :][: self.size]

    def get(self, indices: np.ndarray) -> np.ndarray:
        """Return the values at `indices`, float64 of the same shape."""
        return self._sums.take(self._first_leaf + indices)

    def set(self, indices: np.ndarray, values: np.ndarray | float) -> None:
        """Write values.

        Args:
            indices: int64 ``[n]``, each in ``[0, size)``; of duplicates the last one wins.
            values: float64 ``[n]``, or one for all; finite and not negative.
        """
        nodes = self._first_leaf + indices
        sums, smallest = self._sums, self._smallest
        sums[nodes] = values
        written = sums.take(nodes)
        smallest[nodes] = np.where(written > 0, written, np.inf)
        width = self._first_leaf
        for _ in range(self._depth):
            width >>= 1
            if nodes.size >= width:  # cheaper to compute the whole level
                level, below = slice(width, 2 * width), slice(2 * width, 4 * width)
                np.add(*_pairs(sums[below]), out=sums[level])
                np.minimum(*_pairs(smallest[below]), out=smallest[level])
                continue
            nodes >>= 1
            left = nodes << 1
            right = left | 1
            sums[nodes] = sums.take(left) + sums.take(right)
            smallest[nodes] = np.minimum(smallest.take(left), smallest.take(right))

    def find(self, prefix_sums: np.ndarray) -> np.ndarray:
        """Return for each prefix sum the first index at which the running sum exceeds it.

        A value is found with the probability that it has in the total, if the prefix sums are
        uniform in ``[0, total)``. A value of 0 is never found: where rounding, or a prefix sum of
        `total` and above, leads past the end, the last positive value of the branch is taken.

        Args:
            prefix_sums: float64 ``[n]``, not negative; at least one value is above 0.

        Returns:
            int64 ``[n]``.
        """
        nodes = self._descend(prefix_sums, careful=False)
        missed = np.flatnonzero(self._sums.take(nodes) == 0)
        if missed.size:
            nodes[missed] = self._descend(prefix_sums[missed], careful=True)
        return nodes - self._first_leaf

    def _descend(self, prefix_sums: np.ndarray, *, careful: bool) -> np.ndarray:
        """Walk all searches down one level at a time; if `careful`, never into an empty branch."""
        remaining = prefix_sums.astype(np.float64)
        nodes = np.ones(len(remaining), dtype=np.int64)
        for _ in range(self._depth):
            nodes <<= 1
            left = self._sums.take(nodes)
            goes_right = remaining >= left
            if careful:
                goes_right &= self._sums.take(nodes + 1) > 0
            left *= goes_right
            remaining -= left
            nodes += goes_right
        return nodes


def _pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values[::2], values[1::2]
