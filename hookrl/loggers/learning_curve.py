"""Drawing learning curves: what the returns did over environment frames.

Knows columns of numbers and nothing of runs. matplotlib is used through `Figure` objects alone, so
no window system and no global state of its user's plots is touched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hookrl.errors import InvalidValue, did_you_mean
from hookrl.files import replacing
from hookrl.loggers.csv import STEP, read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RETURN = "episode/mean_reward"
"""Mean return of the training episodes that ended: what is drawn unless asked otherwise."""
EVALUATION = "eval/mean_reward"
"""Mean return of evaluation episodes: drawn dashed beside it, where there is one."""

# Okabe and Ito's colours, in an order in which neighbours stay apart for every kind of sight.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B5B5B")
_INK, _FAINT = "#262626", "#8A8A8A"
_DASHED: Any = (0, (3.5, 1.6))
_BAND = 0.16  # opacity

Table = dict[str, list[float]]


@dataclass(kw_only=True)
class Curve:
    """One line of a plot: the runs that differ in nothing but their seed."""

    label: str
    """What the legend calls it."""
    tables: list[Table] = field(default_factory=list)
    """The metrics of each run, column by column."""


def draw_learning_curve(
    metrics: Sequence[str | Path], out: str | Path, *, metric: str = RETURN, title: str = ""
) -> Path | None:
    """Draw the curve of one setting from the `metrics.csv` of its runs.

    Args:
        metrics: the CSV files, one per seed.
        out: the image to write; its ending chooses the format.
        metric: the column to draw.
        title: stands above the plot.

    Returns:
        The image's path, or None if there was nothing to draw.
    """
    curve = Curve(label="", tables=[read_metrics(path) for path in metrics])
    if not any(
        _points(table, name)[0].size for table in curve.tables for name in (metric, EVALUATION)
    ):
        return None
    return draw_curves([curve], out, metric=metric, title=title)


def draw_curves(
    curves: Sequence[Curve], out: str | Path, *, metric: str = RETURN, title: str = ""
) -> Path:
    """Draw one line per curve: the mean over its seeds, in the band from their least to greatest.

    Args:
        curves: what to draw, each in a colour of its own.
        out: the image to write; its ending chooses the format.
        metric: the column to draw; with the default, evaluation is drawn dashed beside it.
        title: stands above the plot.

    Raises:
        InvalidValue: if no run has the metric, or the image's format is unknown.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    trained = evaluated = False
    for curve, colour in zip(curves, itertools.cycle(_COLOURS), strict=False):
        trained |= _draw(axes, curve, metric, colour, band=True)
        if metric == RETURN:
            # Its band would only cover the other one.
            evaluated |= _draw(axes, curve, EVALUATION, colour, band=False, linestyle=_DASHED)
    if not trained and not evaluated:
        names = dict.fromkeys(name for curve in curves for table in curve.tables for name in table)
        raise InvalidValue(f"no run has logged {metric!r}{did_you_mean(metric, names)}.")
    _decorate(axes, metric, title)
    _legend(axes, curves, both_kinds=trained and evaluated)
    path = Path(out)
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".") not in known:
        raise InvalidValue(
            f"{path} can't be drawn: expected a file ending in one of {', '.join(known)}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary)
    return path


def across_seeds(
    tables: Sequence[Table], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bring the runs of one setting to common frames.

    Returns:
        The frames, and the metric as ``[run, frames]``: interpolated between a run's own rows, NaN
        outside of them.
    """
    lines = [points for table in tables if (points := _points(table, metric))[0].size]
    if not lines:
        return np.empty(0), np.empty((0, 0))
    frames = np.unique(np.concatenate([x for x, _ in lines]))
    values = [np.interp(frames, x, y, left=math.nan, right=math.nan) for x, y in lines]
    return frames, np.stack(values)


def _points(table: Table, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows in which the metric has a value."""
    frames, values = np.asarray(table[STEP]), np.asarray(table.get(metric, ()))
    if not values.size:
        return np.empty(0), np.empty(0)
    present = np.isfinite(values)
    return frames[present], values[present]


def _draw(
    axes: Axes, curve: Curve, metric: str, colour: str, *, band: bool, linestyle: Any = "-"
) -> bool:
    """Draw one metric of one curve; whether there was anything to draw."""
    frames, values = across_seeds(curve.tables, metric)
    if not frames.size:
        return False
    mean = np.nansum(values, axis=0) / np.isfinite(values).sum(axis=0)
    marker = "o" if frames.size == 1 else ""  # a line of one point can't be seen
    axes.plot(frames, mean, color=colour, linewidth=1.8, linestyle=linestyle, marker=marker)
    if band and len(values) > 1:
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        axes.fill_between(frames, low, high, color=colour, alpha=_BAND, linewidth=0)
    return True


def _decorate(axes: Axes, metric: str, title: str) -> None:
    """Labels, and as little else as possible."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.set_xlabel("environment frames", color=_INK, labelpad=6)
    axes.set_ylabel("episode return" if metric == RETURN else metric, color=_INK, labelpad=6)
    if title:
        axes.set_title(title, loc="left", color=_INK, fontsize=11, fontweight="bold", pad=10)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.margins(x=0.0)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=9, length=0, pad=6)
    axes.tick_params(axis="x", length=3, color=_FAINT)


def _legend(axes: Axes, curves: Sequence[Curve], *, both_kinds: bool) -> None:
    """Say what colours, dashes and bands mean, where there is more than one thing to see."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    several = len(curves) > 1
    colour = _INK if several else _COLOURS[0]
    entries: list[Line2D | Patch] = []
    if several:
        entries += [
            Line2D([], [], color=curve_colour, linewidth=2.4, label=curve.label)
            for curve, curve_colour in zip(curves, itertools.cycle(_COLOURS), strict=False)
        ]
    if both_kinds:
        entries += [
            Line2D([], [], color=colour, linewidth=1.8, label="training"),
            Line2D([], [], color=colour, linewidth=1.8, linestyle=_DASHED, label="evaluation"),
        ]
    seeds = sorted({len(curve.tables) for curve in curves} - {1})
    if seeds:
        # Curves of unlike numbers of seeds: no number says it.
        count = f"{seeds[0]} " if len(seeds) == 1 else ""
        entries.append(
            Patch(color=colour, alpha=_BAND, linewidth=0, label=f"range of {count}seeds")
        )
    # Few entries stand in a row above the plot; many have to find room inside.
    place: dict[str, Any] = (
        {"loc": "best", "facecolor": "white", "framealpha": 0.85, "edgecolor": "none"}
        if several
        else {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": 3, "frameon": False}
    )
    if entries:
        axes.legend(handles=entries, fontsize=9, labelcolor=_INK, handlelength=2.2, **place)
