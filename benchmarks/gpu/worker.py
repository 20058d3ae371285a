"""One run, in a process of its own: ``python -m benchmarks.gpu.worker WORK MODE --device cuda``.

The clock is read when the device has done all that it was asked for, and not before.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from tensordict import TensorDictBase

from benchmarks.gpu.works import CUDA_GRAPHS, EAGER, MODES, WARM_UP, WORKS, GPUWork
from hookrl import graph
from hookrl.configs import OffPolicyConfig, RunConfig
from sota.sides import check_captured, make_trainer


def measure(
    work: GPUWork, mode: str, device: str, *, amount: int, envs: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Return frames per second, or updates, and what they were measured over.

    Args:
        work: what to do.
        mode: one of `MODES`.
        device: where.
        amount: frames of a training, or updates, after those to warm up.
        envs: environments of a training; None: as many as the work has.
        seed: of the run.

    Raises:
        RuntimeError: if something is not carried out in that mode after all.
    """
    config = work.config_on(device, mode, envs=envs, seed=seed)
    torch.set_num_threads(config.torch_threads or 1)  # updates are timed after training has ended
    run = _updates if work.updates else _training
    with _graphs_as(mode) as recorded:
        count, seconds, trainer = run(config, amount)
    _check(trainer, mode, device, recorded)
    return {"count": count, "seconds": round(seconds, 3), "fps": round(count / seconds, 1)}


def synchronize(device: str) -> None:
    """Wait until a device has done all that it was asked for."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _training(config: RunConfig, frames: int) -> tuple[int, float, Any]:
    """Train; return the frames after those to warm up, and their seconds."""
    batch = config.num_envs * config.steps_per_env  # type: ignore[attr-defined]
    config = dataclasses.replace(config, total_frames=WARM_UP * batch + frames)
    trainer = make_trainer(config)
    readings: list[tuple[int, float]] = []

    def read() -> None:
        if trainer.collected_frames >= WARM_UP * batch and not readings:
            readings.append(_reading(trainer.collected_frames, config.device))

    trainer.register_op("post_steps", read, name="clock")
    trainer.train()
    ((frames_before, start),) = readings
    frames_after, end = _reading(trainer.collected_frames, config.device)
    return frames_after - frames_before, end - start, trainer


def _updates(config: RunConfig, updates: int) -> tuple[int, float, Any]:
    """Fill the replay buffer, then update again and again; return how often, and the seconds."""
    assert isinstance(config, OffPolicyConfig)
    filled = config.replay.learning_starts + WARM_UP * config.train_frequency
    trainer = make_trainer(dataclasses.replace(config, total_frames=filled))
    batches: collections.deque[TensorDictBase] = collections.deque(maxlen=1)
    trainer.register_op("pre_steps_log", batches.append, name="keep_batch")
    trainer.train()
    for _ in range(WARM_UP):
        trainer.optimize(batches[0])
    _, start = _reading(0, config.device)
    before = trainer.optim_steps
    for _ in range(updates):
        trainer.optimize(batches[0])
    _, end = _reading(0, config.device)
    return trainer.optim_steps - before, end - start, trainer


def _reading(count: int, device: str) -> tuple[int, float]:
    synchronize(device)
    return count, time.perf_counter()


@contextlib.contextmanager
def _graphs_as(mode: str) -> Iterator[list[Callable[..., Any]]]:
    """Have compiled graphs be recorded, or not; gives those that are."""
    recorded: list[Callable[..., Any]] = []

    def record(function: Callable[..., Any]) -> Callable[..., Any]:
        recorded.append(function)
        return cuda_graph(function)

    cuda_graph = graph.CudaGraph  # type: ignore[attr-defined]
    wanted = record if mode == CUDA_GRAPHS else lambda function: function
    with mock.patch.object(graph, "CudaGraph", wanted):
        yield recorded


def _check(trainer: Any, mode: str, device: str, recorded: Sequence[Any]) -> None:
    """Whether what ran is what was asked for; else its figure would be given a wrong name."""
    if mode == EAGER:
        return
    check_captured(trainer)
    if getattr(trainer.collector, "compile", True) is False:
        raise RuntimeError(f"{mode} was asked for, but the steps of environments were eager")
    if mode == CUDA_GRAPHS and not recorded:
        raise RuntimeError(f"CUDA graphs were asked for, but none was recorded on {device}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of one run as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.worker", description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--amount", type=int, required=True)
    parser.add_argument("--envs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with contextlib.redirect_stdout(sys.stderr):  # what libraries have to say
        figures = measure(
            WORKS[options.work],
            options.mode,
            options.device,
            amount=options.amount,
            envs=options.envs,
            seed=options.seed,
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
