"""One save and what loads it, measured in this process."""

from __future__ import annotations

import gc
import os
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.checkpoints.memory import MemoryPeak, Reserve
from benchmarks.checkpoints.subjects import Subject
from benchmarks.checkpoints.ways import Finish, Load, Way
from hookrl.checkpoints.disk import DISK


def measure(
    way: Way,
    full: Callable[[], Subject],
    empty: Callable[[Path | None], Subject | None],
    directory: Path,
    hold: Callable[[int], None],
    watcher: Connection,
) -> dict[str, Any]:
    """Save, load in every way there is, check what was loaded, and remove it.

    Args:
        way: how to save.
        full: makes what is saved.
        empty: makes what is loaded into, in memory or mapped from files in a directory; None where
            it cannot be mapped.
        directory: for files; it is there.
        hold: says how many pieces of the reserve of memory are not needed now.
        watcher: see `MemoryPeak`.
    """
    place, files = directory / "checkpoint", directory / "mapped"
    subject = full()
    os.sync()  # what others have written
    count = iter(range(subject.steps_before))
    before = _times(subject, lambda: next(count, None) is None)
    expected = subject.fingerprint()
    hold(0)
    saved = _save(way, subject, place, before, watcher)
    del subject
    gc.collect()  # what is loaded uses its memory again
    loads = {}
    for load in way.loads:
        target = empty(files if load.mapped else None)
        if target is None:
            continue
        hold(Reserve.PIECES - 1)  # the files have the other
        hold(0)
        loads[load.name] = _load(load, target, place, watcher)
        if target.fingerprint() != expected:
            raise RuntimeError(f"{load.name} gave something else than {way.name} was given.")
        del target
        gc.collect()
    shutil.rmtree(place)
    return {"save": saved, "loads": loads}


def _save(
    way: Way, subject: Subject, place: Path, before: list[float], watcher: Connection
) -> dict[str, Any]:
    usual = statistics.median(before)
    meanwhile: list[float] = []
    with MemoryPeak(watcher) as memory:
        start = time.perf_counter()
        finish = way.begin(subject, place)
        called = time.perf_counter()
        ended = called
        if finish is not None:
            meanwhile, ended = _go_on(subject, finish)
        durable = ended - start
        if not way.syncs:
            syncing = time.perf_counter()
            DISK.sync_tree(place)
            durable += time.perf_counter() - syncing
    return {
        "call": called - start,
        "durable": durable,
        "stall": called - start + sum(meanwhile) - usual * len(meanwhile),
        "steps": len(meanwhile),
        "step_before": usual,
        "step_before_mean": statistics.mean(before),
        "step_meanwhile": statistics.median(meanwhile) if meanwhile else None,
        "step_longest": max(meanwhile, default=None),
        "memory": memory.extra,
        "bytes": _size(place),
    }


def _load(load: Load, target: Subject, place: Path, watcher: Connection) -> dict[str, Any]:
    with MemoryPeak(watcher) as memory:
        start = time.perf_counter()
        load.run(target, place)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory": memory.extra}


def _go_on(subject: Subject, finish: Finish) -> tuple[list[float], float]:
    """Go on with the loop until a save in the background is over; steps, and when it was."""

    def wait() -> float:
        finish()
        return time.perf_counter()

    with ThreadPoolExecutor(1) as waiting:
        over = waiting.submit(wait)
        times = _times(subject, over.done)
    return times, over.result()


def _size(directory: Path) -> int:
    paths = (path for path in directory.rglob("*") if not path.is_symlink())
    return sum(path.stat().st_size for path in paths if path.is_file())


def _times(subject: Subject, enough: Callable[[], bool]) -> list[float]:
    """Go on with the loop and return the seconds that each step took."""
    times: list[float] = []
    while not enough():
        start = time.perf_counter()
        subject.step()
        times.append(time.perf_counter() - start)
    return times
