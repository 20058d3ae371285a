"""One point, in a process of its own: ``python -m benchmarks.scaling.point AXIS SERIES VALUE``.

In a fresh process, because allocators, caches and compiled graphs remember. A speed is that of the
median batch after some to warm up, so that neither graphs that are made nor what else the machine
does for a moment counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from benchmarks.inner_loops import NoOperation
from benchmarks.processors import use_processors
from benchmarks.scaling.axes import AXES
from hookrl.configs import NetworkConfig, PPOConfig
from hookrl.replay import PrioritizedSampler, ReplayBuffer
from hookrl.trainers import PPOTrainer
from sota.sides import check_captured

WARM_UP = 3
"""Batches ahead of the clock."""
LEAST = 3
"""Batches that are timed, however long they take."""
ENVS, SAMPLE = 8, 256
"""Of the replay buffer: environments that store, and transitions in a sample."""
_FILL = 1250
"""Steps of a batch that fills it."""


def measure(axis: str, series: str, value: int, seconds: float, directory: Path) -> dict[str, Any]:
    """Return frames per second of one point, and over how many batches.

    Args:
        axis: a key of `AXES`.
        series: one of its.
        value: one of its values, or another.
        seconds: to go on timing.
        directory: for files that are larger than memory may be.
    """
    if axis == "replay":
        return _replay(series, value, seconds, directory)
    config = PPOConfig(
        env="CartPole-v1",
        total_frames=10**12,
        compile="captured" in series,
        clip_value=None,
        progress_bar=False,
    )
    if axis == "environments":
        config.num_envs, config.steps_per_env = value, 32
        config.vectorization_mode = "tensor" if "tensors" in series else "sync"
    if axis == "width":
        config.network = NetworkConfig(hidden_sizes=(value, value))
    trainer = PPOTrainer.from_config(config)
    if axis == "hooks":
        for number in range(value):
            point = ("post_loss", "post_optim")[number % 2]
            NoOperation().register(trainer, f"nothing_{number}", point=point)
    watch = Watch(seconds, trainer.request_stop)
    trainer.register_op("post_steps", watch.read, name="clock")
    trainer.train()
    check_captured(trainer)
    return watch.figures(config.num_envs * config.steps_per_env)


class Watch:
    """Read after each batch; asks to stop after so many seconds.

    Args:
        seconds: from the end of warming up on.
        stop: called when they are over.
    """

    def __init__(self, seconds: float, stop: Callable[[], object]) -> None:
        self._seconds = seconds
        self._stop = stop
        self._readings: list[float] = []

    def read(self) -> None:
        """A batch is over."""
        self._readings.append(time.perf_counter())
        timed = self._readings[WARM_UP - 1 :]
        if len(timed) > LEAST and timed[-1] - timed[0] >= self._seconds:
            self._stop()

    def figures(self, frames: int) -> dict[str, Any]:
        """Return the speed of the median batch of so many frames."""
        timed = self._readings[WARM_UP - 1 :]
        median = statistics.median(np.diff(timed).tolist())
        return {"fps": round(frames / median, 1), "batch": frames, "batches": len(timed) - 1}


def _replay(series: str, rows: int, seconds: float, directory: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        buffer = ReplayBuffer(
            rows,
            batch_size=SAMPLE,
            sampler=PrioritizedSampler() if "prioritized" in series else None,
            directory=folder if "files" in series else None,
        )
        generator = torch.Generator().manual_seed(0)
        source = _transitions(_FILL, generator)
        while buffer.write_count < rows:
            buffer.extend(source)
        steps = [source[:, n : n + 1] for n in range(0, _FILL, _FILL // 50)]
        ends: list[bool] = []
        watch = Watch(seconds, lambda: ends.append(True))
        while not ends:
            for step in steps:
                buffer.extend(step)
                for _ in range(ENVS):
                    sample = buffer.sample()
                    if "prioritized" in series:
                        buffer.update_priority(sample["index"], sample["next", "reward"])
            watch.read()
        return watch.figures(len(steps) * ENVS)


def _transitions(steps: int, generator: torch.Generator) -> TensorDict:
    """A batch ``[envs, time]`` of the layout of CartPole's, with an end every 50 steps or so."""
    size = (ENVS, steps)
    observation = torch.randn(*size, 4, generator=generator)
    done = torch.rand(*size, 1, generator=generator) < 0.02
    following = torch.cat([observation[:, 1:], observation[:, :1]], 1)
    following = torch.where(done, -following, following)
    outcome = {"done": done, "terminated": done, "truncated": torch.zeros_like(done)}
    reward = torch.rand(*size, 1, generator=generator)
    next_state = TensorDict({"observation": following, "reward": reward, **outcome}, size)
    action = torch.randint(2, size, generator=generator)
    return TensorDict({"observation": observation, "action": action, "next": next_state}, size)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of one point as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling.point", description=__doc__)
    parser.add_argument("axis", choices=AXES)
    parser.add_argument("series")
    parser.add_argument("value", type=int)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args(arguments)
    use_processors(1)
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):  # what libraries have to say
        figures = measure(
            options.axis,
            options.series,
            options.value,
            options.seconds,
            options.directory or Path(tempfile.gettempdir()),
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
