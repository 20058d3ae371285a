"""Draws how speed goes with one axis: a line for each series, cliffs in circles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.scaling.axes import AXES
from benchmarks.scaling.cliffs import cliffs
from benchmarks.scaling.report import speeds

_COLOURS = ("#2171b5", "#d95f0e", "#4d9221")
_MARKERS = ("o", "s", "^")


def draw(name: str, content: Mapping[str, Any], path: Path) -> None:
    """Draw an axis into a PNG file, with logarithmic scales unless the axis has none."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    axis, found = AXES[name], speeds(content)
    figure, plot = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for (series, points), colour, marker in zip(found.items(), _COLOURS, _MARKERS, strict=False):
        plot.plot(
            [*points],
            [*points.values()],
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.6,
            label=series,
        )
        there = {value: points[value] for value, _ in cliffs(axis, points)}
        plot.scatter(
            [*there],
            [*there.values()],
            s=180,
            facecolors="none",
            edgecolors="#cb181d",
            linewidths=1.6,
            zorder=3,
        )
    values = sorted({value for points in found.values() for value in points})
    if axis.logarithmic:
        plot.set_xscale("log")
        plot.set_yscale("log")
        plot.set_xticks(values, [_short(value) for value in values])
        plot.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        _few_ticks(plot, [speed for points in found.values() for speed in points.values()])
    else:
        plot.set_ylim(0, 1.12 * max(max(points.values()) for points in found.values()))
    plot.yaxis.set_major_formatter(lambda value, _: _short(value))
    plot.set_xlabel(axis.label)
    plot.set_ylabel(axis.unit)
    plot.grid(color="#e4e4e4", linewidth=0.8)
    plot.set_axisbelow(True)
    plot.spines[["top", "right"]].set_visible(False)
    plot.legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _few_ticks(plot: Any, shown: list[float]) -> None:
    """Ticks at 1, 2 and 5 where speeds span little, at powers of ten where they span more."""
    from matplotlib import ticker

    subs = (1.0, 2.0, 5.0) if max(shown) < 100 * min(shown) else (1.0,)
    plot.yaxis.set_major_locator(ticker.LogLocator(base=10, subs=subs))
    plot.yaxis.set_minor_formatter(ticker.NullFormatter())


def _short(value: float) -> str:
    """A number as people say it: 32, 1k, 31.6k, 10M."""
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"
