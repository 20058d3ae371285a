"""Where hookrl's time goes: ``python -m benchmarks.profile [WORK ...]``.

Each part of the loop is timed while it trains as in `benchmarks.run`: collecting, every hook, the
loss, and what is left. The clocks themselves cost about a microsecond a call. Of a captured step
only the whole is seen: its hooks are one graph.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import chosen
from benchmarks.clock import BEGINNING
from benchmarks.machine import describe_machine, package_versions
from benchmarks.processors import use_processors
from benchmarks.report import PROFILES, RESULTS_DIR, write_report
from benchmarks.work import Side, Work
from benchmarks.worker import THREAD_VARIABLES
from benchmarks.works import WORKS
from hookrl.files import replacing
from sota.protocol import hookrl_version

ROOT = Path(__file__).resolve().parents[1]
COLLECTING, STEP, LOSS = "collecting", "optimization step", "loss"
_STEP_POINTS = ("prepare", "process_optim_batch", "post_loss", "optimizer", "post_optim")
"""Of the inner loop: what hooks take there is part of a step."""


class Meter:
    """Seconds by part of the loop, from the end of the beginning on.

    Args:
        trainer: whose parts are timed.
        frames: of the whole training.
    """

    def __init__(self, trainer: Any, frames: int) -> None:
        from hookrl.hooks import HookTiming

        self.trainer = trainer
        self.captured = bool(trainer.config["compile"])
        self.timing = HookTiming()
        self.timing.register(trainer)
        self.totals: dict[str, float] = {}
        self._beginning = BEGINNING * frames
        self._before: dict[str, float] | None = None
        self._start = (0, 0.0)
        trainer.collector.collect = self._timed(trainer.collector.collect, COLLECTING)
        trainer.step = _Step(trainer.step, self._timed(trainer.step, STEP))
        if not self.captured:
            started = []
            trainer.loss_module.register_forward_pre_hook(
                lambda *_: started.append(time.perf_counter())
            )
            trainer.loss_module.register_forward_hook(
                lambda *_: self._add(LOSS, time.perf_counter() - started.pop())
            )
        trainer.register_op("post_steps", self._look, name="meter")

    def parts(self) -> dict[str, Any]:
        """Return the frames and seconds that were looked at, and the seconds of each part."""
        frames, start = self._start
        assert self._before is not None
        now, before = self._now(), self._before
        spent = {key: total - before.get(key, 0.0) for key, total in now.items()}
        spent = {key: value for key, value in spent.items() if not key.endswith("/meter")}
        seconds = self._end - start
        step = spent.pop(STEP)
        inside = sum(value for key, value in spent.items() if _in_step(key))
        loss = spent.get(LOSS, 0.0)
        name = "captured step" if self.captured else "rest of the steps"
        parts = {**spent, name: step - inside - loss}
        outside = seconds - step - sum(v for k, v in spent.items() if not _in_step(k) and k != LOSS)
        parts["rest of the loop"] = outside
        return {
            "frames": self.trainer.collected_frames - frames,
            "seconds": round(seconds, 4),
            "parts": {
                key: round(value, 4)
                for key, value in sorted(parts.items(), key=lambda item: -item[1])
            },
        }

    def finish(self) -> None:
        """Training is over."""
        self._end = time.perf_counter()

    def _look(self) -> None:
        if self._before is None and self.trainer.collected_frames >= self._beginning:
            self._before = self._now()
            self._start = (self.trainer.collected_frames, time.perf_counter())

    def _now(self) -> dict[str, float]:
        return {**self.totals, **self.timing.totals}

    def _add(self, key: str, seconds: float) -> None:
        self.totals[key] = self.totals.get(key, 0.0) + seconds

    def _timed(self, call: Callable[..., Any], key: str) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self._add(key, time.perf_counter() - start)

        return timed


class _Step:
    """An optimization step whose calls are timed."""

    def __init__(self, step: Any, call: Callable[..., Any]) -> None:
        self._step = step
        self._call = call

    def __call__(self, batch: Any, index: int) -> bool:
        return self._call(batch, index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


def measure(work: Work, side: Side, frames: int, warm_up: int) -> dict[str, Any]:
    """Warm up, train with clocks everywhere, and return what they showed."""
    from sota.sides import make_trainer

    make_trainer(work.config_of(side, frames=warm_up)).train()
    trainer = make_trainer(work.config_of(side, frames=frames))
    meter = Meter(trainer, frames)
    trainer.train()
    meter.finish()
    return meter.parts()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each work in a process of its own, or one of them in this one."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description=__doc__.splitlines()[0]
    )
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--sides", nargs="+", metavar="SIDE", help="default: all of hookrl's")
    parser.add_argument("--frames", type=int, help="default: the work's")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where JSON is kept")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.works = chosen(parser, "work", options.works, WORKS)
    if options.worker:
        work = WORKS[options.works[0]]
        use_processors(work.threads)
        frames = options.frames or work.config.total_frames
        side = work.side(options.sides[0])
        print(json.dumps(measure(work, side, frames, min(work.warm_up, frames))))
        return
    for name in options.works:
        for side in WORKS[name].sides:
            if side.ours and (not options.sides or side.name in options.sides):
                _store(options.results, name, side, _run(name, side, options.frames))
    print(write_report(options.results))


def _run(name: str, side: Side, frames: int | None) -> dict[str, Any]:
    """Return what one process found."""
    command = [sys.executable, "-m", "benchmarks.profile", name, "--sides", side.name, "--worker"]
    command += ["--frames", str(frames)] if frames else []
    threads = dict.fromkeys(THREAD_VARIABLES, str(WORKS[name].threads))
    about = {
        "machine": describe_machine(),
        "versions": {**package_versions(side.packages), "hookrl": hookrl_version()},
    }
    worker = subprocess.run(
        command, cwd=ROOT, env=os.environ | threads, stdout=subprocess.PIPE, text=True
    )
    if worker.returncode:  # its traceback stands above
        sys.exit(f"{' '.join(command)} failed.")
    found: dict[str, Any] = json.loads(worker.stdout.splitlines()[-1])
    print(f"{name}: {side.name}: {found['frames'] / found['seconds']:,.0f} frames/s", flush=True)
    return {**found, **about}


def _store(directory: Path, work: str, side: Side, found: dict[str, Any]) -> None:
    path = directory / f"{PROFILES}.json"
    contents = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    contents.setdefault(work, {})[side.name] = found
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        text = json.dumps(contents, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _in_step(key: str) -> bool:
    return key.partition("/")[0] in _STEP_POINTS


if __name__ == "__main__":
    main()
