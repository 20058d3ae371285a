"""Ends the inner loop when the policy has moved far enough from the one that acted."""

from __future__ import annotations

from typing import Any

import torch

from hookrl.errors import InvalidValue, MissingKey
from hookrl.hooks.base import TrainerHookBase, TrainerLike


class KLEarlyStop(TrainerHookBase):
    """After each epoch, stops when the mean approximate KL divergence exceeds a target.

    The estimate is the loss's ``kl_approx``, averaged over the epoch's minibatches. Its number is
    needed on the host once per epoch, not per step (Huang et al. 2022, detail on early stopping).

    Args:
        target_kl: stop above this many nats.
        steps_per_epoch: optimization steps between two looks.

    Raises:
        InvalidValue: if either is not positive.
    """

    def __init__(self, target_kl: float, steps_per_epoch: int) -> None:
        if not target_kl > 0 or steps_per_epoch < 1:
            raise InvalidValue(
                f"KLEarlyStop(target_kl={target_kl}, steps_per_epoch={steps_per_epoch}): expected "
                "positive numbers."
            )
        self.target_kl = target_kl
        self.steps_per_epoch = steps_per_epoch
        self._seen: list[torch.Tensor] = []
        self._stopped = False

    def register(self, trainer: TrainerLike, name: str = "kl_early_stop") -> None:
        """Look at ``post_optim``, begin anew with each batch, and report at ``post_steps_log``."""
        trainer.register_op("pre_optim_steps", self.start, name=f"{name}.start")
        trainer.register_op("post_optim", self, name=name)
        trainer.register_op("post_steps_log", self.log, name=f"{name}.log")
        trainer.register_module(name, self)

    def start(self) -> None:
        """Forget the last batch."""
        self._seen = []
        self._stopped = False

    def __call__(self) -> None:
        """Take in one step; decide at the end of an epoch."""
        losses = self._trainer.losses
        if losses is None or "kl_approx" not in losses:
            raise MissingKey(
                "KLEarlyStop needs 'kl_approx' among the losses: expected a loss module that gives "
                "it, such as ClipPPOLoss."
            )
        self._seen.append(losses["kl_approx"])
        if len(self._seen) < self.steps_per_epoch:
            return
        kl = torch.stack(self._seen).mean().item()
        self._seen = []
        if kl > self.target_kl:
            self._stopped = True
            self._trainer.end_inner_loop(f"KL divergence {kl:.4f} > {self.target_kl}")

    def log(self, batch: Any) -> dict[str, float]:
        """Report which share of the batches was stopped early."""
        return {"train/stopped_early": float(self._stopped)}
