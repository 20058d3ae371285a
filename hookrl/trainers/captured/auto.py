"""Whether making a graph pays, for whoever leaves the choice to hookrl."""

from __future__ import annotations

import math

from hookrl.errors import InvalidValue

ENOUGH = 20_000
"""Runs of a graph after which its making, some ten seconds, was worth it: each saves about half a
millisecond."""


def check_compile(compile: object, where: str) -> None:
    """Check the argument ``compile``.

    Raises:
        InvalidValue: if it is neither a bool nor "auto".
    """
    if not (isinstance(compile, bool) or compile == "auto"):
        raise InvalidValue(f"compile={compile!r} for a {where}: expected True, False or 'auto'.")


def captures(compile: bool | str, total_frames: int, frames_per_batch: int, runs: int) -> bool:
    """Decide by what is planned, and never by timing: two equal runs would differ.

    Args:
        compile: the argument of that name.
        total_frames: of the whole run.
        frames_per_batch: of the collector.
        runs: of the graph, after or in each batch.
    """
    if compile == "auto":
        return math.ceil(total_frames / frames_per_batch) * runs >= ENOUGH
    return bool(compile)
