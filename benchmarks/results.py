"""The runs of a work in one file, which grows run by run.

A run counts together with others only if all was the same: settings, frames, threads, machine,
versions, and the script that trained. Runs of a side for which something changed are dropped when
the work is measured again.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, missing, package_versions
from benchmarks.report import RESULTS_DIR
from benchmarks.work import Side, Work
from sota.protocol import hookrl_version
from sota.row import effective
from sota.store import Results, read


def open_results(
    work: Work, frames: int, warm_up: int, *, directory: Path = RESULTS_DIR, fresh: bool = False
) -> Results:
    """Return what is known of a work; sides that cannot run here keep what they have.

    Args:
        work: which one.
        frames: of a timed training.
        warm_up: frames of the short one before it.
        directory: where its file is.
        fresh: forget every run.
    """
    path = directory / f"{work.name}.json"
    stored = read(path)["sides"] if path.exists() and not fresh else {}
    settings = {}
    for side in work.sides:
        if not missing(side.packages):
            settings[side.name] = identity(work, side, frames, warm_up)
        elif side.name in stored:
            settings[side.name] = stored[side.name]["settings"]
    about = {
        "title": work.title,
        "threads": work.threads,
        "ours": [side.name for side in work.sides if side.ours],
        "notes": list(work.notes),
    }
    if fresh and path.exists():
        path.unlink()
    return Results(path, about, settings)


def identity(work: Work, side: Side, frames: int, warm_up: int) -> dict[str, Any]:
    """Return everything that a run's speed is a function of, its seed aside."""
    versions = package_versions(side.packages)
    if side.ours:
        versions["hookrl"] = hookrl_version()
    else:
        versions["script"] = f"{side.module.rpartition('.')[2]} {_digest(side.module)}"
    return {
        "frames": frames,
        "warm_up": warm_up,
        "threads": work.threads,
        "machine": machine(),
        "versions": versions,
        "config": effective(work.config_of(side, frames=frames)),
    }


def _digest(module: str) -> str:
    """Return the beginning of a hash over a module's source, without importing it."""
    spec = importlib.util.find_spec(module)
    source = spec.origin if spec else None
    assert source is not None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()[:12]
