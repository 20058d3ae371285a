"""Learning-rate schedules over collected frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike

Schedule = Callable[[int], float]
"""From collected frames to a value."""


def linear_schedule(start: float, end: float, frames: int) -> Schedule:
    """Return the straight line from `start` at frame 0 to `end` at `frames`, constant after.

    Raises:
        InvalidValue: if `frames` is below 1.
    """
    if frames < 1:
        raise InvalidValue(f"a linear schedule over frames={frames}: expected at least 1.")
    return lambda frame: start + (end - start) * min(frame / frames, 1.0)


class LearningRateSchedule(TrainerHookBase):
    """Sets an optimizer's learning rate by the frames collected so far.

    The rate of an update is that of the frames collected *before* its batch, as in Huang et al.
    (2022), detail 4: the first update uses the full rate, and the last one is not wasted on zero.
    A rate that is a tensor is written in place, so that a captured step sees it.

    Args:
        optimizer: every parameter group gets the rate.
        schedule: from frames to the rate.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
        self.optimizer = optimizer
        self.schedule = schedule
        self._rate = 0.0

    def register(self, trainer: TrainerLike, name: str = "learning_rate") -> None:
        """Set the next rate at ``post_steps``; log the one in use at ``pre_steps_log``."""
        trainer.register_op("post_steps", self, name=name)
        trainer.register_op("pre_steps_log", self.log, name=f"{name}.log")
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Set the first rate, or after loading a checkpoint the one that was due."""
        self()

    def __call__(self) -> None:
        """Set the rate for the next batch."""
        self._rate = self.schedule(self._trainer.collected_frames)
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(self._rate)
            else:
                group["lr"] = self._rate

    def log(self, batch: Any) -> dict[str, float]:
        """Report the rate that this batch is learned with."""
        return {"train/learning_rate": self._rate}
