"""Measures works, all their sides in turn: ``python -m benchmarks.run [WORK ...]``.

In turn, A B C A B C, because on a shared machine the speed drifts from minute to minute: the runs
of a turn see nearly the same machine, so the ratio within turns says more than either figure. Each
run has a process of its own and is stored as soon as it is finished; started again, the command
makes what is missing. Everybody's settings, hookrl's included, are those of `benchmarks.works`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import chosen
from benchmarks.clock import BEGINNING
from benchmarks.machine import missing, processors
from benchmarks.report import RESULTS_DIR, write_report
from benchmarks.results import open_results
from benchmarks.work import Side, Work
from benchmarks.worker import THREAD_VARIABLES
from benchmarks.works import WORKS

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, store and report; the exit code is 1 if a run failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    works = [WORKS[name] for name in chosen(parser, "work", options.works, WORKS)]
    for work in works:
        frames, starts = options.frames or work.config.total_frames, learning_starts(work)
        if starts >= BEGINNING * frames:
            parser.error(
                f"--frames {frames} of {work.name}: expected more than {starts / BEGINNING:,.0f}, "
                f"since learning starts at {starts:,} and the first {BEGINNING:.0%} are left out."
            )
    failed = False
    for work in works:
        if work.threads > processors():
            print(f"{work.name}: left out, since it needs {work.threads} processors.")
            continue
        failed |= not measure_work(work, options)
    print(write_report(options.results))
    return 1 if failed else 0


def learning_starts(work: Work) -> int:
    """Return the frames after which there is learning at all, and graphs are made."""
    replay = getattr(work.config, "replay", None)
    return 0 if replay is None else replay.learning_starts


def measure_work(work: Work, options: argparse.Namespace) -> bool:
    """Make the runs of a work that are missing; False if one failed."""
    sides = list(_installed(work, options.sides))
    frames = options.frames or work.config.total_frames
    warm_up = options.warm_up or work.warm_up
    results = open_results(work, frames, warm_up, directory=options.results, fresh=options.fresh)
    for name, changes in results.discarded.items():
        changed = ", ".join(change.partition(":")[0] for change in changes)
        print(f"{work.name}: runs of {name} no longer count, since {changed} changed.")
    broken: set[str] = set()
    for seed in range(options.repeats):
        for side in sides:
            if side.name in broken or seed in results.runs[side.name]:
                continue
            figures = _run(work, side, seed, frames, warm_up)
            if figures is None:
                broken.add(side.name)
                continue
            results.add(side.name, seed, figures)
            print(_line(work, side, seed, figures), flush=True)
    if any(results.runs.values()):
        results.save()  # texts may have changed
    return not broken


def _installed(work: Work, chosen: Sequence[str] | None) -> Iterator[Side]:
    """The sides that are asked for, without those that cannot run here, which are named."""
    for side in work.sides:
        if chosen and side.name not in chosen:
            continue
        absent = missing(side.packages)
        if absent:
            print(f"{work.name}: {side.name} is left out: {', '.join(absent)} not installed.")
        else:
            yield side


def _run(work: Work, side: Side, seed: int, frames: int, warm_up: int) -> dict[str, Any] | None:
    """Return the figures of one run in a process of its own; None if it failed."""
    command = [sys.executable, "-m", "benchmarks.worker", work.name, side.name]
    command += ["--seed", str(seed), "--frames", str(frames), "--warm-up", str(warm_up)]
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    load = round(os.getloadavg()[0], 2)
    threads = dict.fromkeys(THREAD_VARIABLES, str(work.threads))
    worker = subprocess.run(
        command, cwd=ROOT, env=os.environ | threads, stdout=subprocess.PIPE, text=True
    )
    if worker.returncode:  # its traceback stands above
        print(f"{work.name}: {side.name} seed {seed} FAILED and is left out from here on.")
        return None
    figures: dict[str, Any] = json.loads(worker.stdout.splitlines()[-1])
    return {**figures, "load": load, "started": started}


def _line(work: Work, side: Side, seed: int, figures: dict[str, Any]) -> str:
    return (
        f"{work.name}: {side.name} seed {seed}: {figures['fps']:,.0f} frames/s "
        f"({figures['fps_cpu']:,.0f} per CPU second, {figures['fps_whole']:,.0f} with the "
        f"beginning), return {figures['score']:.1f} after {figures['frames']:,} frames"
    )


def _parser() -> argparse.ArgumentParser:
    names = sorted({side.name for work in WORKS.values() for side in work.sides})
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "works", nargs="*", metavar="WORK", help=f"default: all of {', '.join(WORKS)}"
    )
    parser.add_argument(
        "--sides", nargs="+", choices=names, metavar="SIDE", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--frames", type=int, help="of a timed training; default: the work's")
    parser.add_argument("--warm-up", type=int, help="frames before it; default: the work's")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that are stored")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where JSON is kept")
    return parser


if __name__ == "__main__":
    # As Ctrl-C does, this ends the run that is going on as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: finished runs are stored, and the same command goes on.")
