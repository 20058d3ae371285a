"""Measures how cost grows, each point in a fresh process: ``python -m benchmarks.scaling [AXIS]``.

All points of an axis are measured once before any is measured again, so that minutes lie between
the turns of a point. Each is stored as soon as it is there; started again on the same machine and
source, the command makes what is missing. The exit code is 1 if a point failed, or is a cliff.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import chosen
from benchmarks.machine import machine, package_versions
from benchmarks.report import RESULTS_DIR, write_report
from benchmarks.run import ROOT
from benchmarks.scaling.axes import AXES
from benchmarks.scaling.report import PREFIX, verdicts
from benchmarks.worker import THREAD_VARIABLES
from sota.protocol import hookrl_version

SECONDS = 3.0
"""That a point is timed for, in each turn."""
TURNS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, store and report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "axes", nargs="*", metavar="AXIS", help=f"default: all of {', '.join(AXES)}"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a point (default: 3)")
    parser.add_argument("--turns", type=int, default=TURNS, help="of each point (default: 3)")
    parser.add_argument("--most", type=int, help="leave out values above this")
    parser.add_argument("--directory", type=Path, help="for buffers in files; default: temporary")
    parser.add_argument("--fresh", action="store_true", help="forget the points that are stored")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where JSON is kept")
    options = parser.parse_args(arguments)
    options.axes = chosen(parser, "axis", options.axes, AXES)
    good = True
    for name in options.axes:
        content, complete = measure_axis(name, options)
        found = verdicts(name, content)
        print("\n".join(found))
        good &= complete and not any("CLIFF" in line for line in found)
    print(write_report(options.results))
    return 0 if good else 1


def measure_axis(name: str, options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Make the points of an axis that are missing; also returns whether none failed."""
    file = options.results / f"{PREFIX}{name}.json"
    content: dict[str, Any] = {
        "command": f"python -m benchmarks.scaling {name} --seconds {options.seconds:g}",
        "machine": machine(),
        "versions": package_versions(("torch", "tensordict", "numpy", "gymnasium"))
        | {"hookrl": hookrl_version()},
        "points": [],
    }
    if file.exists() and not options.fresh:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if {**stored, "points": []} == content:
            content = stored
        else:
            print(f"{name}: what is stored was made on or with something else, and is replaced.")
    there = {(point["series"], point["value"], point["turn"]) for point in content["points"]}
    complete = True
    for turn, (series, value) in itertools.product(range(options.turns), _points(name, options)):
        if (series, value, turn) in there:
            continue
        figures = _run(name, series, value, options)
        if figures is None:
            print(f"{name}: {series}, {value:,} FAILED and is left out.")
            complete = False
            continue
        content["points"].append({"series": series, "value": value, "turn": turn, **figures})
        options.results.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, ensure_ascii=False)
        file.write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {series}, {value:,}: {figures['fps']:,.0f} frames/s", flush=True)
    return content, complete


def _points(name: str, options: argparse.Namespace) -> list[tuple[str, int]]:
    """Return every series and value of an axis that was asked for."""
    most = float("inf") if options.most is None else options.most
    series = AXES[name].series.items()
    return [(one, value) for one, values in series for value in values if value <= most]


def _run(axis: str, series: str, value: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """Return the figures of a point in a process of its own; None if it failed."""
    command = [sys.executable, "-m", "benchmarks.scaling.point", axis, series, str(value)]
    command += ["--seconds", str(options.seconds)]
    command += [] if options.directory is None else ["--directory", str(options.directory)]
    load = round(os.getloadavg()[0], 2)
    threads = dict.fromkeys(THREAD_VARIABLES, "1")
    worker = subprocess.run(
        command, cwd=ROOT, env=os.environ | threads, stdout=subprocess.PIPE, text=True
    )
    if worker.returncode:  # its traceback stands above
        return None
    figures: dict[str, Any] = json.loads(worker.stdout.splitlines()[-1])
    return {**figures, "load": load}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: finished points are stored, and the same command goes on.")
