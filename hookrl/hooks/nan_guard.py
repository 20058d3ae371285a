"""Stops a run whose loss is no longer a number, before the optimizer spreads it to the weights."""

from __future__ import annotations

import functools
import math
import operator

import torch
from tensordict import TensorDictBase

from hookrl.errors import UserError
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.optimizer import is_loss
from hookrl.tensordicts import items

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
        """Whether the step may be taken, bool ``[]``: what a captured step asks."""
        return torch.as_tensor(_total(losses)).isfinite()

    def __call__(
        self, losses: TensorDictBase, clip_grad_norm: bool, clip_norm: float | None, optim_step: int
    ) -> None:
        """Check the sum first, since it is finite exactly if all is well."""
        if math.isfinite(_total(losses)):
            return
        named = [(key, value.detach()) for key, value in losses.items() if is_loss(key)]
        bad = [
            f"{key} is {value.sum().item()}" for key, value in named if not value.isfinite().all()
        ]
        known = "_trainer" in vars(self)  # others than hookrl's do not tell
        when = (
            f" after {self._trainer.optim_steps} optimizer steps and "
            f"{self._trainer.collected_frames} frames"
            if known
            else ""
        )
        raise NonFiniteLoss(
            f"{' and '.join(bad) or 'the sum of the losses is not finite'}{when}: expected finite "
            "losses; the optimizer was not stepped (look at rewards and observations, or try a "
            "smaller learning rate or clip_norm)."
        )


def _total(losses: TensorDictBase) -> torch.Tensor | float:
    """The sum of all losses, ``[]`` and detached; 0 if there are none."""
    # Detached first: autograd would follow every sum.
    detached = [value.detach() for key, value in items(losses) if is_loss(key)]
    values = [value.sum() if value.ndim else value for value in detached]
    return functools.reduce(operator.add, values) if values else 0.0
