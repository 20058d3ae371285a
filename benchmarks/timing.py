"""Small differences of time on a machine that is never quite still.

Time is that of the processor in this thread, which does all the work: what else the machine does
meanwhile does not count, and on a quiet one it is the same as wall time.

The ways that are compared take turns, so each round sees them all on nearly the same machine, and
what counts is the difference within a round. The median over rounds drops those that something else
disturbed; how far it may be off is told by the rounds themselves, whatever their distribution.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

CONFIDENCE_DEVIATIONS = 1.96
"""Standard deviations of a normal distribution that leave 5% outside."""


class Estimate(NamedTuple):
    """A median, and between which values the true one lies 19 times out of 20."""

    median: float
    low: float
    high: float


def in_turn(
    ways: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    prepare: Callable[[], Any] = lambda: None,
) -> dict[str, list[float]]:
    """Return the seconds of every way in every round; each round begins with another way.

    A way is gone twice, of which the second time counts: caches and free memory are as the one
    before left them, and who comes behind a dissimilar one would pay for it.

    Args:
        ways: what is timed.
        rounds: how often.
        prepare: called before each, and not timed.
    """
    names = [*ways]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            prepare()
            ways[name]()
            prepare()
            start = time.thread_time()
            ways[name]()
            seconds[name].append(time.thread_time() - start)
    return seconds


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median, with the interval between two order statistics (sign test)."""
    ordered, count = sorted(values), len(values)
    reach = CONFIDENCE_DEVIATIONS * math.sqrt(count) / 2
    low = max(math.floor(count / 2 - reach), 0)
    return Estimate(statistics.median(ordered), ordered[low], ordered[count - 1 - low])


def difference(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """Return by how much `one` exceeds `other` within a round."""
    return estimate([a - b for a, b in zip(one, other, strict=True)])


def slope(rounds_by_count: Mapping[int, Sequence[float]]) -> Estimate:
    """Return what one more costs: the slope of a straight line through each round's times.

    Args:
        rounds_by_count: seconds in every round, by the number of things there were.
    """
    counts = [*rounds_by_count]
    rounds = zip(*rounds_by_count.values(), strict=True)
    return estimate([statistics.linear_regression(counts, times).slope for times in rounds])
