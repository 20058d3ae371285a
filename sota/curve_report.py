"""The part of RESULTS.md about long runs: a picture and a table for each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hookrl.files import replacing
from sota.intervals import estimate, interquartile_mean
from sota.store import read

Contents = list[dict[str, Any]]
"""The files of one curve, a seed each."""

_COLOUR, _INK, _FAINT = "#0072B2", "#262626", "#8A8A8A"
_SEVERAL = 4
"""Seeds from which on there are statistics over them: with fewer nothing is cut off by an IQM."""
_INTRODUCTION = """\
# Long runs

Longer than the rows above, hookrl alone: for each seed a curve of 10 deterministic episodes while
it trained, beside published returns, and 100 deterministic episodes of its last weights. The
protocols of the published figures differ from this one and from each other; they are to be compared
in kind only.
"""


def curves(directory: Path) -> dict[str, Contents]:
    """Return every curve that has been stored, by name, its seeds in order."""
    found: dict[str, Contents] = {}
    for path in sorted(directory.glob("*.json")):
        name, _, _seed = path.stem.rpartition("_")
        found.setdefault(name, []).append(read(path))
    return found


def curve_sections(found: dict[str, Contents]) -> list[str]:
    """Return the whole part of the document, if there is any."""
    if not found:
        return []
    return [_INTRODUCTION, *(_section(name, contents) for name, contents in found.items())]


def draw_curves(contents: Contents, out: Path) -> None:
    """Draw the curve of every seed, their interquartile mean, and the published returns as dots.

    Args:
        contents: the files of one curve.
        out: the PNG file to write.
    """
    about = contents[0]["about"]
    figure = Figure(figsize=(7.2, 3.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    runs = [_only_run(content)[1]["curve"] for content in contents]
    several = len(runs) >= _SEVERAL
    for points in runs:
        frames, means, _ = zip(*points, strict=True)
        width, alpha = (0.8, 0.4) if several else (1.5, 1.0)
        axes.plot(frames, means, color=_COLOUR, linewidth=width, alpha=alpha)
    if several:
        together = list(zip(*runs, strict=False))  # as far as the shortest goes
        shared = [points[0][0] for points in together]
        returns = [[value for _, value, _ in points] for points in together]
        iqm = [estimate(values, interquartile_mean) for values in returns]
        label = f"interquartile mean of {len(runs)} seeds and its 95 % interval"
        axes.plot(shared, [e.value for e in iqm], color=_COLOUR, linewidth=2, label=label)
        low, high = [e.low for e in iqm], [e.high for e in iqm]
        axes.fill_between(shared, low, high, color=_COLOUR, alpha=0.2, linewidth=0)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    published = sorted(about["published"].items(), key=lambda item: item[1][0])
    for _, (mean, spread, frames) in published:
        axes.errorbar(frames, mean, yerr=spread or None, fmt="o", markersize=4, color=_FAINT)
    longest = max(frames for _, (*_, frames) in published)
    axes.set_xlim(0, 1.16 * longest)  # room for the names
    gap = 0.055 * (axes.get_ylim()[1] - axes.get_ylim()[0])
    height = -math.inf
    for source, (mean, *_) in published:
        height = max(mean, height + gap)  # names do not lie upon each other
        axes.annotate(
            source,
            (1.015 * longest, height),
            va="center",
            fontsize=8,
            color=_FAINT,
        )
    axes.set_xlabel("frames", color=_INK)
    axes.set_ylabel("mean return of 10 episodes", color=_INK)
    axes.xaxis.set_major_formatter(lambda frames, _: f"{frames / 1e6:g}M" if frames else "0")
    axes.set_title(
        f"{about['title']} · {about['env']}",
        loc="left",
        color=_INK,
        fontsize=10,
        fontweight="bold",
    )
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=9, length=0, pad=6)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        figure.savefig(temporary)


def _section(name: str, contents: Contents) -> str:
    about = contents[0]["about"]
    published = "; ".join(
        f"{source} {mean:,}{f' ± {spread:,}' if spread else ''} after {frames:,} frames"
        for source, (mean, spread, frames) in about["published"].items()
    )
    lines = [
        f"## {name.replace('_', '-')}",
        "",
        f"{about['title']}: {about['env']}. Published: {published}.",
        "",
        *(f"- {note}" for note in about["notes"]),
        "",
        f"Command: `python -m sota.{name}`",
        "",
        f"![curves of every seed](figures/{name}.png)",
        "",
        "| seed | frames | hours | last weights: mean ± std of 100 episodes | best of the curve |",
        "|---:|---:|---:|---|---|",
    ]
    for content in contents:
        seed, run = _only_run(content)
        frames, best, _ = max(run["curve"], key=lambda point: point[1])
        last = f"{run['mean']:,.0f} ± {run['std']:,.0f}" if "mean" in run else "not finished"
        lines.append(
            f"| {seed} | {run['frames']:,} | {run['seconds'] / 3600:.2f} | {last} "
            f"| {best:,.0f} at {frames:,} |"
        )
    lines += _statistics(contents)
    _, run = _only_run(contents[0])
    versions = ", ".join(f"{package} {version}" for package, version in run["versions"].items())
    return "\n".join([*lines, "", f"hookrl: {versions}.", ""])


def _statistics(contents: Contents) -> list[str]:
    """Return what the last weights of all seeds give together, if there are enough of them."""
    runs = (_only_run(content)[1] for content in contents)
    scores = [run["mean"] for run in runs if "mean" in run]
    if len(scores) < _SEVERAL:
        return []
    iqm = estimate(scores, interquartile_mean)
    written = f"{iqm.value:,.0f} [{iqm.low:,.0f}, {iqm.high:,.0f}]"
    return ["", f"Last weights of {len(scores)} seeds: IQM and its 95 % interval {written}."]


def _only_run(content: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return seed and run of a file."""
    ((seed, run),) = content["sides"]["hookrl"]["runs"].items()
    return seed, run
