"""One run, in a process of its own: ``python -m benchmarks.worker WORK SIDE --seed 0``.

In a fresh process, because allocators, caches and generators remember. It has as many processors as
the work has threads, since not everybody can be told how many threads to use. A short training
comes first, which loads code and fills caches.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.processors import use_processors
from benchmarks.work import Side, Work

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure(work: Work, side: Side, *, frames: int, warm_up: int, seed: int) -> dict[str, Any]:
    """Warm up, train, and play 100 deterministic episodes with the last weights."""
    from benchmarks.clock import Clock
    from sota.sides import evaluate

    train = importlib.import_module(side.module).train
    train(work.config_of(side, frames=warm_up, seed=seed), Clock(warm_up))
    clock = Clock(frames)
    policy = train(work.config_of(side, frames=frames, seed=seed), clock)
    return {**clock.figures(), "score": round(evaluate(policy, work.config).mean, 2)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of one run as the last line."""
    from benchmarks.works import WORKS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--warm-up", type=int)
    options = parser.parse_args(arguments)
    work = WORKS[options.work]
    use_processors(work.threads)
    with contextlib.redirect_stdout(sys.stderr):  # what libraries have to say
        figures = measure(
            work,
            work.side(options.side),
            frames=options.frames or work.config.total_frames,
            warm_up=options.warm_up or work.warm_up,
            seed=options.seed,
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
