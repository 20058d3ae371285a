"""The protocol: training seeds 0 to 9, and 100 deterministic episodes of each run's last weights.

All sides train with the same settings and the same numbers as seeds, and are evaluated by the same
code from the same initial states. A seed's score is the mean of its episodes. Each run is stored as
soon as it is finished; started again, a script makes the runs that are missing.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sota.row import FAST, HOOKRL, SB3, Row
from sota.store import Results, Run

TRAINING_SEEDS = range(10)
EVALUATION = {"episodes": 100, "seed": 0}
"""How many episodes, and what their initial states are drawn with; stored with the settings."""
RESULTS_DIR = Path(__file__).parent / "results"

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def open_results(row: Row, directory: Path = RESULTS_DIR) -> Results:
    """Return what is already known of a row under its present settings."""
    settings = {
        side: {**own, "final_evaluation": EVALUATION} for side, own in row.settings().items()
    }
    results = Results(directory / f"{row.name}.json", row.about(), settings)
    for path in sorted(directory.glob("*.json")):
        results.adopt(path)  # the same settings and seed in another row are the same run
    return results


def run_one(row: Row, side: str, seed: int) -> Run:
    """Train one side with one seed and evaluate its last weights."""
    from sota.sides import evaluate, train  # torch: only where training happens

    versions = versions_used(side)  # before: the source may be edited while the run goes on
    trained = train(row, side, seed)
    episodes = evaluate(trained, row.hookrl, **EVALUATION)
    return {
        "mean": round(episodes.mean, 4),
        "std": round(episodes.std, 4),
        "returns": [round(value, 3) for value in episodes.returns.tolist()],
        "frames": trained.frames,
        "seconds": round(trained.seconds, 1),
        "versions": versions,
    }


def reproduce(
    row: Row,
    *,
    seeds: Iterable[int] = TRAINING_SEEDS,
    sides: Sequence[str] | None = None,
    jobs: int = 2,
    directory: Path = RESULTS_DIR,
) -> Results:
    """Make the runs of a row that are missing, several at a time, each with one torch thread.

    Args:
        row: what to run.
        seeds: training seeds.
        sides: who trains; None: all.
        jobs: processes at a time.
        directory: where the file of results is.
    """
    results = open_results(row, directory)
    for side, changed in results.discarded.items():
        print(f"{row.name}: runs of {side} no longer count, since settings changed:", *changed)
    missing = [
        (s, seed) for seed in seeds for s in sides or results.runs if seed not in results.runs[s]
    ]
    if not missing:
        results.save()  # texts may have changed
        print(f"{row.name}: every run is there already.")
        return results
    os.environ |= ONE_THREAD  # inherited by the processes below, before they load any library
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(run_one, row, *task): task for task in missing}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                side, seed = futures[future]
                run = future.result()
                results.add(side, seed, run)
                print(
                    f"{row.name}: {side} seed {seed}: {run['mean']:.1f} ± {run['std']:.1f} after "
                    f"{run['frames']:,} frames in {run['seconds']:.0f} s "
                    f"({count} of {len(missing)})",
                    flush=True,
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def main(row: Row, arguments: Sequence[str] | None = None) -> None:
    """Run a row from the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m sota.{row.name}", description=row.title)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default: 2)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[*TRAINING_SEEDS], help="default: 0 to 9"
    )
    parser.add_argument(
        "--side", choices=(HOOKRL, FAST, row.peer.name), help="run only this one (default: all)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help=f"default: {RESULTS_DIR}")
    options = parser.parse_args(arguments)
    sides = (HOOKRL, FAST, row.peer.name) if options.side is None else (options.side,)
    if SB3 in sides and importlib.util.find_spec("stable_baselines3") is None:
        sys.exit("stable-baselines3 is not installed: pip install -e '.[peers]', or --side hookrl.")
    try:
        reproduce(
            row, seeds=options.seeds, sides=sides, jobs=options.jobs, directory=options.results
        )
    except KeyboardInterrupt:
        sys.exit("interrupted: runs that were finished are stored, the same command goes on.")


def versions_used(side: str) -> dict[str, str]:
    """Return what a run was made with."""
    packages = ["torch", "numpy", "gymnasium"]
    if side == SB3:
        packages.append(SB3)
    versions = {"python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in packages}
    if side != SB3:
        versions[HOOKRL] = hookrl_version()
    return versions


def hookrl_version() -> str:
    """Return hookrl's version and the beginning of a hash over its source files."""
    import hookrl

    root = Path(hookrl.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{hookrl.__version__} (source {digest.hexdigest()[:12]})"


def scores(runs: dict[Any, Run]) -> list[float]:
    """Return the score of every seed, in the order of the seeds."""
    return [runs[seed]["mean"] for seed in sorted(runs, key=int)]
