"""Logs the mean of every loss and diagnostic over the inner loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensordict import TensorDictBase

from hookrl.hooks.base import TrainerHookBase, TrainerLike

TAGS: dict[str, str] = {
    "loss_objective": "train/policy_loss",
    "loss_critic": "train/value_loss",
    "loss_entropy": "train/entropy_loss",
    "kl_approx": "train/approx_kl",
}
"""Canonical names of entries that have one; any other entry ``x`` is logged as ``train/x``."""


class LogLosses(TrainerHookBase):
    """Reports ``train/…`` for each entry of the losses, averaged over all steps of the inner loop.

    Args:
        tags: further names, or other ones, for entries of the losses.
        weights: the factor that an entry has in the sum of losses; it is logged without. The
            entropy loss is always minus the entropy.
    """

    def __init__(
        self, tags: Mapping[str, str] | None = None, weights: Mapping[str, float] | None = None
    ) -> None:
        self.tags = {**TAGS, **(tags or {})}
        self.weights = {name: weight for name, weight in (weights or {}).items() if weight}

    def register(self, trainer: TrainerLike, name: str = "log_losses") -> None:
        """Hang the hook on ``post_steps_log``."""
        trainer.register_op("post_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> dict[str, Any]:
        """Report the means, which stay on their device."""
        means = self._trainer.mean_losses
        if "entropy" in means and "loss_entropy" in means:
            means["loss_entropy"] = -means["entropy"]
        return {
            self.tags.get(key, f"train/{key}"): mean / self.weights.get(key, 1.0)
            for key, mean in means.items()
        }
