"""Anneals how often an ε-greedy policy acts at random."""

from __future__ import annotations

from typing import Any

import torch

from hookrl.errors import InvalidType
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.schedule import Schedule


class EpsilonGreedySchedule(TrainerHookBase):
    """Sets ``q_network.epsilon`` by the frames collected so far, and logs it.

    A batch is collected with the share of the frames *before* it; where collection is overlapped,
    with that of one batch earlier, though this one is logged. A share that is a tensor is written
    in place.

    Args:
        q_network: any object with an attribute ``epsilon``.
        schedule: from frames to the share of random actions, such as `linear_schedule`.

    Raises:
        InvalidType: if there is no such attribute.
    """

    def __init__(self, q_network: Any, schedule: Schedule) -> None:
        if not hasattr(q_network, "epsilon"):
            raise InvalidType(
                f"q_network is a {type(q_network).__name__} without an attribute 'epsilon': "
                "expected an ε-greedy policy."
            )
        self.q_network = q_network
        self.schedule = schedule
        self._epsilon = 0.0

    def register(self, trainer: TrainerLike, name: str = "epsilon") -> None:
        """Set the next share at ``post_steps``; log the one in use at ``pre_steps_log``."""
        trainer.register_op("post_steps", self, name=name)
        trainer.register_op("pre_steps_log", self.log, name=f"{name}.log")
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Set the first share, or after loading a checkpoint the one that was due."""
        self()

    def __call__(self) -> None:
        """Set the share for the next batch."""
        self._epsilon = self.schedule(self._trainer.collected_frames)
        before = self.q_network.epsilon
        if isinstance(before, torch.Tensor):
            before.fill_(self._epsilon)
        elif before != self._epsilon:
            self.q_network.epsilon = self._epsilon

    def log(self, batch: Any) -> dict[str, float]:
        """Report the share that this batch was collected with."""
        return {"exploration/epsilon": self._epsilon}
