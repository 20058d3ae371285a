"""Writes RESULTS.md and its figure from the files of results: ``python -m benchmarks.report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import hook_cost_report, profile_report, speed_report
from benchmarks.checkpoints import report as checkpoints
from benchmarks.checkpoints.names import SUBJECTS
from benchmarks.figure import draw
from benchmarks.gpu import report as gpu
from benchmarks.long_run_report import section
from benchmarks.scaling import figure as scaling_figure
from benchmarks.scaling import report as scaling
from benchmarks.scaling.axes import AXES
from benchmarks.works import WORKS

RESULTS_DIR = Path(__file__).parent / "results"
FIGURE = Path("figures", "speed.png")
"""Beside RESULTS.md."""
PROFILES = "profiles"
"""Name of the file of results with where the time goes."""

_LONG_RUNS = """\
# Memory and disk

Of a long run with checkpoints, hookrl alone.
"""


def write_report(directory: Path = RESULTS_DIR) -> Path:
    """Write RESULTS.md, and its figure, beside a directory of results."""
    contents = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(directory.glob("*.json"))
    }
    compared = {name: contents[name] for name in WORKS if name in contents}
    parts = [speed_report.INTRODUCTION]
    if compared:
        draw(compared, directory.parent / FIGURE)
        parts += [speed_report.overview(compared, FIGURE)]
        parts += [speed_report.section(name, content) for name, content in compared.items()]
    profiles = contents.pop(PROFILES, {})
    if profiles:
        parts += [profile_report.INTRODUCTION]
        parts += [
            profile_report.section(name, profiles[name]) for name in WORKS if name in profiles
        ]
    long_runs = [section(*item) for item in contents.items() if "samples" in item[1]]
    parts += [_LONG_RUNS, *long_runs] if long_runs else []
    saved = [checkpoints.section(*item) for item in contents.items() if _is_checkpoint(item[1])]
    parts += [checkpoints.INTRODUCTION, *saved] if saved else []
    if "hook_cost" in contents:
        parts += [hook_cost_report.INTRODUCTION, hook_cost_report.section(contents["hook_cost"])]
    grown = {name: contents[key] for name in AXES if (key := scaling.PREFIX + name) in contents}
    parts += [scaling.INTRODUCTION] if grown else []
    for name, content in grown.items():
        scaling_figure.draw(name, content, directory.parent / scaling.figure_of(name))
        parts += [scaling.section(name, content)]
    if "gpu" in contents:
        parts += [gpu.INTRODUCTION, gpu.section(contents["gpu"])]
    out = directory.parent / "RESULTS.md"
    out.write_text("\n".join(parts), encoding="utf-8")
    return out


def _is_checkpoint(content: dict[str, Any]) -> bool:
    return content.keys() <= {*SUBJECTS}


if __name__ == "__main__":
    print(write_report())
