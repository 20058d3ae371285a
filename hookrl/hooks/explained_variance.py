"""Logs how much of the returns the values explain."""

from __future__ import annotations

from typing import Any

from tensordict import TensorDictBase

from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.objectives import explained_variance
from hookrl.tensordicts import frame_mask


class ExplainedVariance(TrainerHookBase):
    """Reports ``train/explained_variance`` of the values that the batch was collected with.

    1 is perfect, 0 no better than a constant, negative worse than that. It is taken over the whole
    batch before learning from it; over a minibatch, or afterwards, it would flatter.
    """

    reads = ("state_value", "value_target")

    def register(self, trainer: TrainerLike, name: str = "explained_variance") -> None:
        """Hang the hook on ``pre_steps_log``."""
        trainer.register_op("pre_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> dict[str, Any] | None:
        """Compare values with their targets, unless no frame is valid."""
        value, target = batch["state_value"], batch["value_target"]
        mask = frame_mask(batch)
        if mask is not None:
            value, target = value[mask], target[mask]
        if not target.numel():
            return None
        return {"train/explained_variance": explained_variance(value, target)}
