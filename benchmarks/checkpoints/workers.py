"""Processes in which the ways are measured, so that what one leaves behind is not another's.

They are forked from one that has loaded the libraries and done nothing else.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.checkpoints.measure import measure
from benchmarks.checkpoints.memory import Reserve, watch
from benchmarks.checkpoints.names import LARGE, SMALL
from benchmarks.checkpoints.subjects import TRANSITION_BYTES, LargeBuffer, SmallTrainer, Subject
from benchmarks.checkpoints.ways import WAYS

_LIBRARIES = ["hookrl.trainers", "torchsnapshot", "torch.distributed.checkpoint"]

Results = dict[str, dict[str, list[dict[str, Any]]]]
"""``saves`` and ``loads``, by name what each round gave."""


def run_in_turn(subject: str, rounds: int, transitions: int, directory: Path) -> Results:
    """Measure every way, one after the other, and all of them again in every round.

    What is large gets a process for each measurement. What is small gets one for each way, which
    does everything once before it counts.

    Args:
        subject: "small" or "large".
        rounds: how often each way is measured.
        transitions: in the large buffer.
        directory: for the files.
    """
    results: Results = {"saves": {way.name: [] for way in WAYS}, "loads": {}}
    reserve = Reserve(TRANSITION_BYTES * transitions if subject == LARGE else 0)
    with _started(watch) as watcher, ExitStack() as stack:
        serving = (serve, watcher, subject, transitions, directory)
        kept: dict[str, Connection] = {}
        if subject == SMALL:
            kept = {way.name: stack.enter_context(_started(*serving)) for way in WAYS}
            for name, worker in kept.items():
                _ask(worker, name, reserve)
        for number in range(1, rounds + 1):
            for name, saves in results["saves"].items():
                with ExitStack() as once:
                    worker = kept.get(name) or once.enter_context(_started(*serving))
                    measured = _ask(worker, name, reserve)
                saves.append(measured["save"])
                for load, run in measured["loads"].items():
                    results["loads"].setdefault(load, []).append(run)
                if subject == LARGE or number == rounds:
                    print(f"{subject} {number}: {_line(name, measured)}", flush=True)
    return results


def serve(
    connection: Connection, watcher: Connection, subject: str, transitions: int, directory: Path
) -> None:
    """Measure the way that is asked for, again and again, until the other end is closed."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "torch.distributed is disabled")  # as is meant
    ways = {way.name: way for way in WAYS}

    def full() -> Subject:
        return SmallTrainer(True) if subject == SMALL else LargeBuffer(transitions, True)

    def empty(files: Path | None) -> Subject | None:
        if subject == LARGE:
            return LargeBuffer(transitions, False, files)
        return SmallTrainer(False) if files is None else None

    def hold(pieces: int) -> None:
        connection.send(pieces)
        connection.recv()

    while True:
        try:
            name = connection.recv()
        except EOFError:
            return
        with tempfile.TemporaryDirectory(dir=directory) as place:
            measured = measure(ways[name], full, empty, Path(place), hold, watcher)
        connection.send(measured)


@contextmanager
def _started(serve: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Start a process that serves the other end of a connection; close it and wait for its end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LIBRARIES)
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join()


def _ask(worker: Connection, name: str, reserve: Reserve) -> dict[str, Any]:
    """Have a way measured; until that is done, the worker says how much of the reserve to hold."""
    reserve.hold(Reserve.PIECES)
    worker.send(name)
    try:
        while isinstance(answer := worker.recv(), int):
            reserve.hold(answer)
            worker.send(None)
    except EOFError:
        sys.exit(f"Measuring {name} failed.")  # its traceback stands above
    reserve.hold(Reserve.PIECES)
    measured: dict[str, Any] = answer
    return measured


def _line(name: str, measured: dict[str, Any]) -> str:
    saved = measured["save"]
    text = f"{name} held the loop for {saved['stall']:.3g} s, took {saved['durable']:.3g} s"
    loads = (f"loading: {load} {run['seconds']:.3g} s" for load, run in measured["loads"].items())
    return "; ".join([text, *loads])
