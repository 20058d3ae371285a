"""Times a training, apart from its beginning."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

BEGINNING = 0.2
"""Share of the frames that the steady speed leaves out: graphs are made in it, caches fill, and
off-policy algorithms still act at random."""


class Reading(NamedTuple):
    """What the clocks showed when so many frames were collected."""

    frames: int
    wall: float
    cpu: float


class Clock:
    """Read at the start, at the end, and once in between: when the beginning is over.

    Args:
        frames: of the whole training.
    """

    def __init__(self, frames: int) -> None:
        self.beginning = BEGINNING * frames
        self._start: Reading | None = None
        self._steady: Reading | None = None
        self._end: Reading | None = None

    def start(self) -> None:
        """Training begins; environments and networks are there."""
        self._start = _read(0)

    def tick(self, frames: int) -> None:
        """So many frames were collected and learned from; called as often as is convenient."""
        if self._steady is None and frames >= self.beginning:
            self._steady = _read(frames)

    def stop(self, frames: int) -> None:
        """Training is over."""
        self._end = _read(frames)

    def figures(self) -> dict[str, Any]:
        """Return frames, seconds, and the speeds that they come to.

        ``fps`` and ``fps_cpu`` are frames per second and per second of processor time of all
        threads after the beginning; ``fps_whole`` counts the beginning too.
        """
        start, steady, end = self._start, self._steady, self._end
        if start is None or steady is None or end is None or end.frames <= steady.frames:
            raise RuntimeError("the clock was not read at the start, after some frames, and later")
        frames = end.frames - steady.frames
        return {
            "frames": end.frames,
            "seconds": round(end.wall - start.wall, 3),
            "fps": round(frames / (end.wall - steady.wall), 1),
            "fps_cpu": round(frames / (end.cpu - steady.cpu), 1),
            "fps_whole": round(end.frames / (end.wall - start.wall), 1),
        }


def _read(frames: int) -> Reading:
    return Reading(frames, time.perf_counter(), time.process_time())
