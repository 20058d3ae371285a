"""The part of RESULTS.md on how cost grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import conditions, table
from benchmarks.scaling.axes import AXES
from benchmarks.scaling.cliffs import CLIFF, cliffs

PREFIX = "scaling_"
"""Of the files of results, before the name of the axis."""

INTRODUCTION = f"""\
# Scaling

hookrl alone, one thread on one processor. A point is measured in several turns, minutes apart, each
in a process of its own, whose speed is that of the median batch after three to warm up; given is
the fastest turn, since what else the machine does only ever slows down. A *cliff* is a point that
costs more than {CLIFF:g} times what its neighbours let expect, or the last one, more than its
predecessor does; it has a circle.

`python -m benchmarks.scaling` makes them all.
"""


def figure_of(name: str) -> Path:
    """Where the figure of an axis is, beside RESULTS.md."""
    return Path("figures", f"{PREFIX}{name}.png")


def speeds(content: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """Return the speed of each value in its fastest turn, by series."""
    found: dict[str, dict[int, float]] = {}
    for point in content["points"]:
        of_series, value = found.setdefault(point["series"], {}), point["value"]
        of_series[value] = max(point["fps"], of_series.get(value, 0.0))
    return {series: dict(sorted(points.items())) for series, points in found.items()}


def section(name: str, content: Mapping[str, Any]) -> str:
    """Return the figure, the table and the cliffs of one axis."""
    axis, found = AXES[name], speeds(content)
    values = sorted({value for points in found.values() for value in points})
    rows = [
        (f"{value:,}", *(_number(points.get(value)) for points in found.values()))
        for value in values
    ]
    lines = [
        f"## {axis.label[0].upper()}{axis.label[1:]}",
        "",
        f"{axis.title}; {axis.unit}.",
        "",
        f"![{axis.unit} against {axis.label}]({figure_of(name).as_posix()})",
        "",
        *table((axis.label, *found), rows, text_columns=0),
        "",
        *(f"- {line}" for line in verdicts(name, content)),
    ]
    for paragraph in conditions(content):
        lines += ["", paragraph]
    return "\n".join([*lines, ""])


def verdicts(name: str, content: Mapping[str, Any]) -> list[str]:
    """Say of each series whether it has cliffs, and where."""
    found = []
    for series, points in speeds(content).items():
        there = [f"{value:,} (×{ratio:.1f})" for value, ratio in cliffs(AXES[name], points)]
        found.append(f"{series}: {'**CLIFF** at ' + ', '.join(there) if there else 'no cliff'}")
    return found


def _number(speed: float | None) -> str:
    return "" if speed is None else f"{speed:,.0f}"
