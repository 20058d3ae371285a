"""The part of RESULTS.md about long runs: a picture and a table for each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hookrl.files import replacing
from sota.store import read

Contents = list[dict[str, Any]]
"""The files of one curve, a seed each."""

_COLOURS = ("#0072B2", "#009E73", "#CC79A7")  # Okabe and Ito's
_INK, _FAINT = "#262626", "#8A8A8A"
_INTRODUCTION = """\
# Long runs

Too long for ten seeds: each seed's curve of 10 deterministic episodes while it trained, beside
published returns, and 100 deterministic episodes of its last weights. The protocols of the
published figures differ from this one and from each other; they are to be compared in kind only.
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
    """Draw the curves of every seed, and the published returns as lines to the right.

    Args:
        contents: the files of one curve.
        out: the PNG file to write.
    """
    about = contents[0]["about"]
    figure = Figure(figsize=(7.2, 3.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for content, colour in zip(contents, _COLOURS, strict=False):
        seed, run = _only_run(content)
        frames, means, deviations = zip(*run["curve"], strict=True)
        around = list(zip(means, deviations, strict=True))
        low, high = [mean - std for mean, std in around], [mean + std for mean, std in around]
        axes.plot(frames, means, color=colour, linewidth=1.5, label=f"hookrl, seed {seed}")
        axes.fill_between(frames, low, high, color=colour, alpha=0.15, linewidth=0)
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
    axes.legend(frameon=False, fontsize=8, loc="upper left")
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
    _, run = _only_run(contents[0])
    versions = ", ".join(f"{package} {version}" for package, version in run["versions"].items())
    return "\n".join([*lines, "", f"hookrl: {versions}.", ""])


def _only_run(content: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return seed and run of a file."""
    ((seed, run),) = content["sides"]["hookrl"]["runs"].items()
    return seed, run
