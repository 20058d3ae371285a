"""A picture of one row: the score of every seed on every side, with interval and target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hookrl.files import replacing
from sota.intervals import estimate, interquartile_mean
from sota.protocol import scores
from sota.store import sides_of

_COLOURS = ("#0072B2", "#009E73", "#D55E00")  # Okabe and Ito's, hookrl's two first
_HEIGHTS = (2.0, 1.0, 0.0)
_INK, _FAINT = "#262626", "#8A8A8A"
_SPREAD = 0.16
"""Half the height over which the dots of one side are laid out, in seed order."""


def draw_row(content: dict[str, Any], out: Path) -> None:
    """Draw what a file of results holds.

    Args:
        content: what `sota.store.read` returned.
        out: the PNG file to write.
    """
    figure = Figure(figsize=(7.2, 2.8), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    sides = sides_of(content)
    for height, side, colour in zip(_HEIGHTS, sides, _COLOURS, strict=True):
        values = scores(content["sides"][side]["runs"])
        if not values:
            continue
        heights = height + np.linspace(_SPREAD, -_SPREAD, len(values))
        axes.scatter(values, heights, s=22, color=colour, alpha=0.65, linewidth=0, zorder=3)
        iqm = estimate(values, interquartile_mean)
        below = height - 0.3
        axes.plot([iqm.low, iqm.high], [below, below], color=colour, linewidth=3, zorder=4)
        axes.plot(iqm.value, below, "|", color=colour, markersize=11, markeredgewidth=2, zorder=4)
    target = content["about"]["target"]
    if target is not None:
        axes.axvline(target, color=_FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            "target",
            (target, 1.0),
            (-3, 1),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=_FAINT,
        )
    axes.set_yticks(_HEIGHTS, sides)
    axes.set_ylim(-0.5, 2.4)
    axes.margins(x=0.04)
    axes.set_xlabel("score of a seed (dots), IQM and its 95 % interval (bars)", color=_INK)
    about = content["about"]
    axes.set_title(
        f"{about['title']} · {about['env']}",
        loc="left",
        color=_INK,
        fontsize=10,
        pad=12,
        fontweight="bold",
    )
    axes.grid(axis="x", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=9, length=0, pad=6)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        figure.savefig(temporary)
