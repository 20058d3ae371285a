"""Stops a run whose loss is no longer a number, before the optimizer spreads it to the weights."""

from __future__ import annotations

import functools
import math
import operator

import torch
from tensordict import TensorDictBase

from hookrl.errors import UserError
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.optimizer import minimised

PRIORITY = -100
"""Ahead of every backward pass."""


class NonFiniteLoss(UserError, FloatingPointError):
    """A loss was infinite or not a number."""


class NaNGuard(TrainerHookBase):
    """Raises `NonFiniteLoss` at ``optimizer`` if a loss is NaN or infinite.

    It reads a number from the device at every step, which on a GPU waits for the loss; register it
    there with ``every`` to look less often.
    """

    def register(self, trainer: TrainerLike, name: str = "nan_guard", *, every: int = 1) -> None:
        """Hang the guard ahead of every optimizer."""
        trainer.register_op("optimizer", self, name=name, priority=PRIORITY, every=every)
        trainer.register_module(name, self)

    @staticmethod
    def permits(losses: TensorDictBase) -> torch.Tensor:
        """Whether every loss is finite, bool ``[]``: what a captured step asks."""
        # Detached: autograd would follow.
        answers = [loss.detach().isfinite().all() for _, loss in minimised(losses)]
        return functools.reduce(operator.and_, answers) if answers else torch.tensor(True)

    def __call__(
        self, losses: TensorDictBase, clip_grad_norm: bool, clip_norm: float | None, optim_step: int
    ) -> None:
        """Look at every loss.

        Raises:
            NonFiniteLoss: if one is not finite.
        """
        for _, loss in minimised(losses):
            # On the host reading a number takes less time than any operation.
            if loss.ndim or not loss.is_cpu or not math.isfinite(loss.item()):
                break
        else:
            return
        if NaNGuard.permits(losses):
            return
        bad = [
            f"{name} is {loss.sum().item()}"
            for name, loss in minimised(losses.detach())
            if not loss.isfinite().all()
        ]
        known = "_trainer" in vars(self)  # others than hookrl's do not tell
        when = (
            f" after {self._trainer.optim_steps} optimizer steps and "
            f"{self._trainer.collected_frames} frames"
            if known
            else ""
        )
        raise NonFiniteLoss(
            f"{' and '.join(bad)}{when}: expected finite losses; the optimizer was not stepped "
            "(look at rewards and observations, or try a smaller learning rate or clip_norm)."
        )
