"""What the runs of a work come to: medians, ratios, and whether all learned the same.

Everywhere the content of a work is what its file of results holds, its sides are ``{name: runs}``,
and runs are figures by seed. A turn is one seed: its runs followed each other.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

Runs = Mapping[str, Mapping[str, Any]]
Sides = Mapping[str, Runs]

STANDARD_ERRORS = 3
"""Mean returns that are further apart than so many standard errors do not agree."""
RESOLUTION = 0.01
"""Nor do they disagree if they are as close as this share of the greater one."""


class Spread(NamedTuple):
    """Median, lowest and highest of some runs."""

    median: float
    lowest: float
    highest: float


class Agreement(NamedTuple):
    """How far the mean returns of two sides are apart, and how far they may be."""

    apart: float
    bound: float

    @property
    def agree(self) -> bool:
        """Whether the difference is within noise."""
        return self.apart <= self.bound


def measured(content: Mapping[str, Any]) -> dict[str, Runs]:
    """Return the sides of a file of results that have runs, in its order."""
    sides = content["sides"]
    return {name: side["runs"] for name, side in sides.items() if side["runs"]}


def spread(runs: Runs, figure: str = "fps") -> Spread:
    """Return the spread of a figure."""
    values = [run[figure] for run in runs.values()]
    return Spread(statistics.median(values), min(values), max(values))


def best_peer(content: Mapping[str, Any], framework: str = "torch") -> str | None:
    """Return the peer on `framework` with the highest median speed; None if none has runs."""
    ours = content["about"]["ours"]
    speeds = {
        name: spread(runs).median
        for name, runs in measured(content).items()
        if name not in ours and framework in content["sides"][name]["settings"]["versions"]
    }
    return max(speeds, key=speeds.__getitem__, default=None)


def ratio(sides: Sides, name: str, other: str, figure: str = "fps") -> float:
    """Return the ratio of two sides' medians."""
    return spread(sides[name], figure).median / spread(sides[other], figure).median


def turn_ratios(sides: Sides, name: str, other: str, figure: str = "fps") -> dict[str, float]:
    """Return the ratio within each turn in which both ran, by seed."""
    return {
        seed: run[figure] / sides[other][seed][figure]
        for seed, run in sides[name].items()
        if seed in sides[other]
    }


def agreement(sides: Sides, name: str, other: str) -> Agreement | None:
    """Compare the mean returns of two sides; None if no side has enough runs to tell.

    All sides carry out the same algorithm, so the variance between seeds is estimated from all of
    them together: of three runs alone it would be too rough.
    """
    freedom = sum(len(runs) - 1 for runs in sides.values())
    if not freedom:
        return None
    scores = {side: [run["score"] for run in runs.values()] for side, runs in sides.items()}
    squares = sum((score - statistics.mean(own)) ** 2 for own in scores.values() for score in own)
    own, others = scores[name], scores[other]
    error = math.sqrt(squares / freedom * (1 / len(own) + 1 / len(others)))
    means = statistics.mean(own), statistics.mean(others)
    bound = max(STANDARD_ERRORS * error, RESOLUTION * max(map(abs, means)))
    return Agreement(abs(means[0] - means[1]), bound)
