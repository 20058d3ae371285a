"""Draws the speed of every side, one panel for each work."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.comparison import best_peer, measured, ratio, spread

_OURS, _CAPTURED, _PEER = "#9ecae1", "#2171b5", "#c9c9c9"
_RANGE = "#404040"
_COLUMNS = 2
_BAR = 0.34
"""Inches of height for each bar."""
_TITLE = 52
"""Characters in a line of a title."""


def draw(contents: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw bars of medians with lowest and highest, as frames per second, into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    works = [content for content in contents.values() if measured(content)]
    if not works:
        return
    rows = [works[start : start + _COLUMNS] for start in range(0, len(works), _COLUMNS)]
    heights = [max(len(measured(work)) for work in row) * _BAR + 0.9 for row in rows]
    figure, axes = plt.subplots(
        len(rows),
        _COLUMNS,
        figsize=(13, sum(heights) + 0.25 * len(rows)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for row, line in zip(rows, axes, strict=True):
        for axis in line[len(row) :]:
            axis.set_axis_off()
        most = max(len(measured(work)) for work in row)
        for work, axis in zip(row, line, strict=False):
            _panel(axis, work)
            axis.set_ylim(most - 0.5, -0.5)  # bars of a row are equally thick
    layout: Any = figure.get_layout_engine()
    layout.set(h_pad=0.14, w_pad=0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axis: Any, content: Mapping[str, Any]) -> None:
    """Bars of one work, hookrl's above the peers'; beside each its ratio to the best torch peer."""
    sides, ours = measured(content), content["about"]["ours"]
    peer = best_peer(content)
    spreads = {name: spread(runs) for name, runs in sides.items()}
    colours = [
        _PEER if name not in ours else _CAPTURED if "captured" in name else _OURS for name in sides
    ]
    medians = [found.median for found in spreads.values()]
    below = [found.median - found.lowest for found in spreads.values()]
    above = [found.highest - found.median for found in spreads.values()]
    places = range(len(sides))
    axis.barh(places, medians, color=colours, height=0.72)
    axis.errorbar(
        medians, places, xerr=(below, above), fmt="none", ecolor=_RANGE, elinewidth=1, capsize=2.5
    )
    longest = max(found.highest for found in spreads.values())
    for place, (name, found) in zip(places, spreads.items(), strict=True):
        text = _short(found.median)
        if peer is not None and name != peer:
            text += f"  ×{ratio(sides, name, peer):.2f}"
        axis.text(
            found.highest + 0.015 * longest, place, text, va="center", fontsize=9, color="#202020"
        )
    axis.set_yticks(places, list(sides), fontsize=9)
    for label, name in zip(axis.get_yticklabels(), sides, strict=True):
        label.set_fontweight("bold" if name in ours else "normal")
    axis.set_xlim(0, 1.28 * longest)
    axis.xaxis.set_major_formatter(lambda value, _: _short(value))
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    title = textwrap.fill(content["about"]["title"], _TITLE)
    axis.set_title(title, fontsize=9.5, loc="left")
    axis.set_xlabel("frames/s (×: of the best torch peer)", fontsize=8)


def _short(value: float) -> str:
    """A number as people say it: 1.5k, 340k, 98."""
    if value >= 99_950:
        return f"{value / 1000:,.0f}k"
    if value >= 1000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}"
