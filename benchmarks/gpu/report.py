"""The part of RESULTS.md on what was measured on a GPU."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu.works import EAGER, MODES, WORKS
from benchmarks.markdown import table

INTRODUCTION = """\
# On a GPU

hookrl alone, its normal hooks on, environments, replay buffer and networks on one device. *Eager*
carries out operation by operation; *compiled* runs compiled graphs, whose kernels are launched one
by one; *CUDA graphs* are the same graphs, recorded and launched as a whole. Medians of the runs
(lowest to highest), each in a process of its own after eight batches in which graphs are made; the
clock is read when the device is done. Trainings are in frames/s, learning included. Updates are in
updates/s, of sampling and learning without collecting: at one update per frame these are frames/s.
"""


def section(content: Mapping[str, Any]) -> str:
    """Return the table, and what it was made on and with."""
    settings = content["settings"]
    versions = ", ".join(f"{name} {value}" for name, value in settings["versions"].items())
    machine = ", ".join(f"{name} {value}" for name, value in settings["machine"].items())
    environments = "" if settings["envs"] is None else f", in {settings['envs']:,} environments"
    return "\n".join(
        [
            f"On **{settings['device']}**.",
            "",
            *lines(content),
            "",
            f"`python -m benchmarks.gpu`, {settings['frames']:,} frames of a training"
            f"{environments}, {settings['updates']:,} updates.",
            "",
            f"machine: {machine}.",
            "",
            f"versions: {versions}.",
            "",
        ]
    )


def lines(content: Mapping[str, Any]) -> list[str]:
    """Return the table: works down, modes across, each with its ratio to eager."""
    found = [mode for mode in MODES if any(mode in runs for runs in content["runs"].values())]
    rows = [
        (WORKS[name].title, "updates/s" if WORKS[name].updates else "frames/s", *cells)
        for name, runs in content["runs"].items()
        if name in WORKS and (cells := list(_cells(runs, found)))
    ]
    return table(("work", "unit", *found), rows, text_columns=2)


def _cells(
    runs: Mapping[str, Sequence[Mapping[str, float]]], modes: Sequence[str]
) -> Iterator[str]:
    speeds = {mode: [run["fps"] for run in runs.get(mode, ())] for mode in modes}
    for mode, values in speeds.items():
        if not values:
            yield ""
            continue
        median = statistics.median(values)
        text = f"{median:,.0f} ({min(values):,.0f} to {max(values):,.0f})"
        if mode != EAGER and speeds.get(EAGER):
            text += f", ×{median / statistics.median(speeds[EAGER]):.2f}"
        yield text
