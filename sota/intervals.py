"""Statistics over training seeds: interquartile mean and bootstrap intervals.

Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice"
(arXiv:2108.13264): few runs, so interval estimates; the interquartile mean, since it is as robust
as the median and wastes less; percentile bootstrap, the runs of each task resampled by themselves
(each row of our table is one task, so its runs are the only stratum).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 20260101
"""Of the generator that resamples: the same scores always give the same interval."""

Statistic = Callable[[NDArray[Any]], NDArray[np.float64]]
"""Reduces the last axis, which runs over seeds."""


class Estimate(NamedTuple):
    """A statistic and its bootstrap interval."""

    value: float
    low: float
    high: float


def mean(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Mean over the last axis."""
    return np.mean(scores, axis=-1)


def interquartile_mean(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Mean over the last axis without its lowest and its highest ⌊n/4⌋ values."""
    ordered = np.sort(scores, axis=-1)
    n = ordered.shape[-1]
    return np.mean(ordered[..., n // 4 : n - n // 4], axis=-1)


def estimate(scores: Sequence[float], statistic: Statistic) -> Estimate:
    """Return a statistic of the scores of several seeds with its 95 % interval.

    Args:
        scores: one per seed.
        statistic: `mean` or `interquartile_mean`.
    """
    values = np.asarray(scores, dtype=np.float64)
    resampled = statistic(_resample(np.random.default_rng(_SEED), values))
    return _interval(float(statistic(values)), resampled)


def difference(ours: Sequence[float], theirs: Sequence[float], statistic: Statistic) -> Estimate:
    """Return how much higher the statistic of `ours` is, with its 95 % interval.

    The two are resampled independently: seed 3 of one library has nothing in common with seed 3 of
    the other.
    """
    generator = np.random.default_rng(_SEED)
    a, b = (np.asarray(scores, dtype=np.float64) for scores in (ours, theirs))
    resampled = statistic(_resample(generator, a)) - statistic(_resample(generator, b))
    return _interval(float(statistic(a) - statistic(b)), resampled)


def _resample(generator: np.random.Generator, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw with replacement: ``[resamples, seeds]``."""
    return values[generator.integers(0, len(values), (RESAMPLES, len(values)))]


def _interval(value: float, resampled: NDArray[np.float64]) -> Estimate:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail))
    return Estimate(value, float(low), float(high))
