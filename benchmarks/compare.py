"""Measures two sides in turn, A B A B, each run in a process of its own.

In turn, because on a shared machine the speed drifts from minute to minute: the two runs of a pair
see nearly the same machine, so the ratio within pairs says more than either figure. In a fresh
process, because allocators, caches and generators remember. What is timed is training as a user
calls it, learning included, after a short training that loads code and fills caches; making
environments and networks is not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, describe_versions
from benchmarks.report import RESULTS_DIR, SIDES, summary, write_report
from sota.row import Comparison

ROOT = Path(__file__).resolve().parents[1]

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main(comparison: Comparison, arguments: Sequence[str] | None = None) -> None:
    """Run a comparison from the command line, or one run of it in a worker process."""
    program = f"benchmarks.{comparison.name}"
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=comparison.title)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each side (default: 5)")
    frames = comparison.hookrl.total_frames
    parser.add_argument("--frames", type=int, default=frames, help=f"timed (default: {frames:,})")
    parser.add_argument("--warm-up", type=int, default=20_000, help="frames (default: 20,000)")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where JSON is kept")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1.")
    comparison = _with_frames(comparison, options.frames)
    if options.worker is not None:
        print(json.dumps(measure(comparison, options.worker, options.seed, options.warm_up)))
        return

    content = {
        "title": comparison.title,
        "command": " ".join(["python", "-m", program, *given]),
        "machine": describe_machine(),
        "versions": describe_versions(),
        "frames": options.frames,
        "warm_up": options.warm_up,
        "notes": list(comparison.notes),
        "settings": comparison.settings(),
        "runs": run_in_turn(program, options.repeats, options.frames, options.warm_up),
    }
    print("\n".join(summary(content["runs"])))
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (options.results / f"{comparison.name}.json").write_text(text + "\n", encoding="utf-8")
    print(write_report(options.results))


def run_in_turn(
    program: str, repeats: int, frames: int, warm_up: int
) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of each side; pair i has training seed i on both."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for seed in range(repeats):
        for side in SIDES:
            command = [sys.executable, "-m", program, "--worker", side, "--seed", str(seed)]
            command += ["--frames", str(frames), "--warm-up", str(warm_up)]
            worker = subprocess.run(
                command, cwd=ROOT, env=os.environ | _ONE_THREAD, stdout=subprocess.PIPE, text=True
            )
            if worker.returncode:
                sys.exit(f"{' '.join(command)} failed.")  # its traceback stands above
            run = json.loads(worker.stdout.splitlines()[-1])
            runs[side].append(run)
            print(
                f"{side:>17} seed {seed}: {run['fps']:>9,.0f} frames/s "
                f"({run['fps_cpu']:,.0f} per CPU second), "
                f"return {run['score']:.1f} after {run['frames']:,} frames",
                flush=True,
            )
    return runs


def measure(comparison: Comparison, side: str, seed: int, warm_up: int) -> dict[str, Any]:
    """Warm up, train, and evaluate what came out, in this process."""
    from sota.sides import evaluate, train  # torch: only in the workers

    train(_with_frames(comparison, warm_up), side, seed)
    trained = train(comparison, side, seed)
    return {
        "seed": seed,
        "frames": trained.frames,
        "seconds": round(trained.seconds, 4),
        "fps": round(trained.frames / trained.seconds, 1),
        "fps_cpu": round(trained.frames / trained.cpu_seconds, 1),
        "score": round(evaluate(trained, comparison.hookrl).mean, 2),
    }


def _with_frames(comparison: Comparison, frames: int) -> Comparison:
    return dataclasses.replace(
        comparison, hookrl=dataclasses.replace(comparison.hookrl, total_frames=frames)
    )
