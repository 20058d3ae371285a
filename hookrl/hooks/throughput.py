"""Logs how fast training goes."""

from __future__ import annotations

import time
from typing import Any

from hookrl.hooks.base import Mean, TrainerHookBase, TrainerLike


class Throughput(TrainerHookBase):
    """Reports ``time/fps``: frames per second of wall time, everything included.

    Metrics under ``time/`` are the only ones that may differ between two equal runs.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._time = 0.0

    def register(self, trainer: TrainerLike, name: str = "throughput") -> None:
        """Hang the hook on ``post_steps_log``."""
        trainer.register_op("post_steps_log", self, name=name)
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Start the clock."""
        self._frames, self._time = trainer.collected_frames, time.perf_counter()

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Report frames and seconds since the last call."""
        frames, now = self._trainer.collected_frames, time.perf_counter()
        rate = Mean(frames - self._frames, now - self._time)
        self._frames, self._time = frames, now
        return {"time/fps": rate}
