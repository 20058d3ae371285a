"""Writes RESULTS.md from the files of results: ``python -m benchmarks.report``."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import report as checkpoints
from benchmarks.checkpoints.names import SUBJECTS
from benchmarks.long_run_report import section
from sota.row import HOOKRL, SB3

SIDES = (HOOKRL, SB3)
"""In the order in which they take turns."""
RESULTS_DIR = Path(__file__).parent / "results"

_INTRODUCTION = """\
# Speed

Written by the programs in this directory from the files in `results/`; don't edit.

Frames per second of training, learning included, one torch thread: both sides in turn (A B A B),
each run in a process of its own after a short training to warm up. hookrl has its normal hooks on
(episode statistics, losses, explained variance, throughput, NaN guard); neither side writes files.
Frames per CPU second count the processor time of the training process alone, which other work on
the machine disturbs less; on a quiet machine the two figures are the same.
Returns are those of 100 deterministic episodes of the last weights, from the same initial states.
"""
_LONG_RUNS = """\
# Memory and disk

Of a long run with checkpoints, hookrl alone.
"""
_STANDARD_ERRORS = 3
"""Means of returns that are further apart than this many standard errors do not agree."""


def summary(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Say what the runs came to, in a few lines."""
    lines = []
    for figure, unit in (("fps", "frames/s"), ("fps_cpu", "frames per CPU second")):
        for side in SIDES:
            fps = [run[figure] for run in runs[side]]
            lines.append(
                f"{side}: median {statistics.median(fps):,.0f} {unit} "
                f"({min(fps):,.0f} to {max(fps):,.0f})"
            )
        of_medians, pairs = ratios(runs, figure)
        lines.append(
            f"ratio of medians of {unit}: **{of_medians:.2f}**; of pairs "
            f"{', '.join(f'{ratio:.2f}' for ratio in pairs)} "
            f"(median {statistics.median(pairs):.2f})"
        )
    return [*lines, _returns(runs)]


def ratios(runs: dict[str, list[dict[str, Any]]], figure: str = "fps") -> tuple[float, list[float]]:
    """Return the ratio of the medians of a figure, hookrl over peer, and that of each pair."""
    ours, theirs = ([run[figure] for run in runs[side]] for side in SIDES)
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(ours) / statistics.median(theirs), pairs


def write_report(directory: Path = RESULTS_DIR) -> Path:
    """Write RESULTS.md beside a directory of results."""
    contents = {
        path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))
    }
    compared = [_section(name, content) for name, content in contents.items() if "runs" in content]
    long_runs = [
        section(name, content) for name, content in contents.items() if "samples" in content
    ]
    saved = [
        checkpoints.section(name, content)
        for name, content in contents.items()
        if content.keys() <= {*SUBJECTS}
    ]
    parts = [_INTRODUCTION, *compared, *([_LONG_RUNS, *long_runs] if long_runs else [])]
    parts += [checkpoints.INTRODUCTION, *saved] if saved else []
    out = directory.parent / "RESULTS.md"
    out.write_text("\n".join(parts), encoding="utf-8")
    return out


def _returns(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Say whether the two sides learned the same within noise."""
    ours, theirs = ([run["score"] for run in runs[side]] for side in SIDES)
    means = " and ".join(f"{statistics.mean(side):.1f}" for side in (ours, theirs))
    text = f"mean return after the same frames: {means}"
    if len(ours) < 2:
        return f"{text}; too few runs to say whether they agree"
    error = math.sqrt(sum(statistics.variance(side) / len(side) for side in (ours, theirs)))
    apart = abs(statistics.mean(ours) - statistics.mean(theirs))
    verdict = "agree" if apart <= _STANDARD_ERRORS * error else "DO NOT AGREE"
    return (
        f"{text}; they {verdict} (difference {apart:.1f}, standard error {error:.1f}, "
        f"bound {_STANDARD_ERRORS} of it)"
    )


def _section(name: str, content: dict[str, Any]) -> str:
    runs = content["runs"]
    lines = [f"## {name.replace('_', '-')}", "", f"{content['title']}.", ""]
    lines += [f"- {line}" for line in (*summary(runs), *content["notes"])]
    lines += [
        "",
        f"`{content['command']}`, {content['frames']:,} timed frames after "
        f"{content['warm_up']:,} to warm up.",
        "",
        "| seed | "
        + " | ".join(f"{side} frames/s | per CPU s | return" for side in SIDES)
        + " | ratio |",
        "|---:|" + "---:|---:|---:|" * len(SIDES) + "---:|",
    ]
    for ours, theirs, ratio in zip(*(runs[side] for side in SIDES), ratios(runs)[1], strict=True):
        cells = [
            f"{run['fps']:,.0f} | {run['fps_cpu']:,.0f} | {run['score']:.1f}"
            for run in (ours, theirs)
        ]
        lines.append(f"| {ours['seed']} | {' | '.join(cells)} | {ratio:.2f} |")
    for group in ("machine", "versions"):
        lines += ["", f"{group}: {', '.join(f'{k} {v}' for k, v in content[group].items())}."]
    for side in SIDES:
        settings = json.dumps(content["settings"][side], ensure_ascii=False)
        lines += ["", f"{side}: `{settings}`"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(write_report())
