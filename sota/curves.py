"""Learning curves of long runs, hookrl alone, beside published returns.

Each run is stored at every evaluation, so that one that ends early, by its own time limit or by a
kill, leaves its curve up to there.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hookrl.configs import RunConfig, to_plain
from hookrl.hooks import TrainerHookBase
from sota.protocol import EVALUATION, ONE_THREAD, RESULTS_DIR, versions_used
from sota.row import HOOKRL, effective
from sota.store import Results, Run

CURVES_DIR = RESULTS_DIR / "curves"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One environment and algorithm, trained for longer than a row of the table is."""

    name: str
    """Of the script and of the file of results."""
    title: str
    """What it is, in a few words."""
    hookrl: RunConfig
    """The settings, with the interval of the evaluations; the seed in it is not used."""
    seeds: tuple[int, ...]
    """Training seeds."""
    hours: float | None = None
    """When a run ends although frames are left; None: it does not."""
    published: Mapping[str, tuple[float, float, int]]
    """Source: mean, what stands behind ±, and the frames it was published for."""
    notes: tuple[str, ...] = field(default=())
    """Where these settings or this protocol and the published ones differ."""

    def about(self) -> dict[str, Any]:
        """Return what the report says of the curve beside its numbers."""
        return {
            "title": self.title,
            "env": self.hookrl.env,
            "frames": self.hookrl.total_frames,
            "hours": self.hours,
            "published": {source: list(figures) for source, figures in self.published.items()},
            "notes": list(self.notes),
        }

    def open_results(self, seed: int, directory: Path = CURVES_DIR) -> Results:
        """Return what is known of a seed under the present settings, from a file of its own."""
        settings = effective(self.hookrl)
        settings |= {
            "evaluation": to_plain(self.hookrl)["evaluation"],
            "final_evaluation": EVALUATION,
        }
        return Results(directory / f"{self.name}_{seed}.json", self.about(), {HOOKRL: settings})


class Recorder(TrainerHookBase):
    """A hook that keeps every evaluation, and ends the run when its time is over.

    Args:
        keep: called with the points so far, ``[frames, mean return, its deviation]`` each.
        deadline: when to stop, by `time.monotonic`; None: never.
    """

    def __init__(self, keep: Callable[[list[list[float]]], Any], deadline: float | None) -> None:
        self.keep = keep
        self.deadline = deadline
        self.points: list[list[float]] = []

    def register(self, trainer: Any, name: str = "recorder") -> None:
        """Hang on no point: the hook acts on rows of metrics."""
        trainer.register_module(name, self)

    def on_metrics(self, trainer: Any, row: Mapping[str, float]) -> None:
        """Keep the row's evaluation, if it has one."""
        if "eval/mean_reward" in row:
            mean, std = row["eval/mean_reward"], row["eval/std_reward"]
            self.points.append([trainer.collected_frames, round(mean, 2), round(std, 2)])
            self.keep(self.points)
        if self.deadline is not None and time.monotonic() > self.deadline:
            trainer.request_stop("the time is over")


def run_curve(curve: Curve, seed: int, directory: Path = CURVES_DIR) -> Run:
    """Train with one seed, storing each point; then evaluate the last weights."""
    from sota.sides import evaluate, train_hookrl  # torch: only where training happens

    used, start = versions_used(HOOKRL), time.monotonic()

    def stored(points: list[list[float]], **last: Any) -> Run:
        seconds = round(time.monotonic() - start, 1)
        run: Run = {"frames": int(points[-1][0]) if points else 0, "seconds": seconds, **last}
        run |= {"curve": points, "versions": used}
        curve.open_results(seed, directory).add(HOOKRL, seed, run)
        return run

    recorder = Recorder(stored, None if curve.hours is None else start + 3600 * curve.hours)
    config = dataclasses.replace(curve.hookrl, log_interval=curve.hookrl.evaluation.interval)
    trained = train_hookrl(config, seed, recorder)
    episodes = evaluate(trained, curve.hookrl, **EVALUATION)
    return stored(
        recorder.points,
        frames=trained.frames,
        seconds=round(trained.seconds, 1),
        mean=round(episodes.mean, 4),
        std=round(episodes.std, 4),
        returns=[round(value, 3) for value in episodes.returns.tolist()],
    )


def main(curve: Curve, arguments: Sequence[str] | None = None) -> None:
    """Run a curve's seeds from the command line."""
    parser = argparse.ArgumentParser(prog=f"python -m sota.{curve.name}", description=curve.title)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*curve.seeds])
    parser.add_argument("--results", type=Path, default=CURVES_DIR, help=f"default: {CURVES_DIR}")
    options = parser.parse_args(arguments)
    os.environ |= ONE_THREAD  # inherited by the processes below, before they load any library
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(run_curve, curve, s, options.results): s for s in options.seeds}
        for future, seed in futures.items():
            run = future.result()
            print(
                f"{curve.name}: seed {seed}: {run['mean']:.1f} ± {run['std']:.1f} after "
                f"{run['frames']:,} frames in {run['seconds']:.0f} s",
                flush=True,
            )
