"""Whether cost grows as it should: points that cost much more than others let expect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.scaling.axes import Axis

CLIFF = 1.5
"""A point that costs so many times what is expected of it is a cliff."""


class Cliff(NamedTuple):
    """A point, and its cost over what was expected."""

    value: int
    ratio: float


def costs(axis: Axis, speeds: Mapping[int, float]) -> dict[int, float]:
    """Return the cost of each value, in seconds: of a frame, or of as many as a batch grows by."""
    return {
        value: (value if axis.of_batch else 1) / speed for value, speed in sorted(speeds.items())
    }


def cliffs(axis: Axis, speeds: Mapping[int, float]) -> list[Cliff]:
    """Return the points that cost more than `CLIFF` times what is expected.

    Between two others a point is expected on the straight line that joins them, in logarithms
    unless the axis has none: a cost that grows like a fixed part and a power lies below it. The
    last one is expected to cost no more than the axis's power allows, from the one before it.

    Args:
        axis: says how cost may grow.
        speeds: per second, by value.
    """
    points = [*costs(axis, speeds).items()]
    found = []
    for place in range(1, len(points)):
        value, cost = points[place]
        before = points[place - 1]
        if place + 1 < len(points):
            expected = _between(axis, before, points[place + 1], value)
        else:
            expected = _after(axis, before, value)
        if cost > CLIFF * expected:
            found.append(Cliff(value, cost / expected))
    return found


def _between(axis: Axis, before: tuple[int, float], after: tuple[int, float], value: int) -> float:
    (low, low_cost), (high, high_cost) = before, after
    if not axis.logarithmic:
        return low_cost + (high_cost - low_cost) * (value - low) / (high - low)
    share = math.log(value / low) / math.log(high / low)
    return low_cost ** (1 - share) * high_cost**share


def _after(axis: Axis, before: tuple[int, float], value: int) -> float:
    low, low_cost = before
    return low_cost * (value / max(low, 1)) ** axis.exponent
