"""Several backward passes for each step of an optimizer: large batches in little memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.optimizer import BACKWARD_PRIORITY, STEP_PRIORITY, OptimizerHook
from hookrl.hooks.pace import paced
from hookrl.state import same_keys, snapshot


class GradientAccumulation(TrainerHookBase):
    """Steps an optimizer after every `steps` backward passes, with the mean of their gradients.

    It takes the place of the hook that it wraps, so the trainer is built with ``optimizer=None``::

        GradientAccumulation(OptimizerHook(optimizer), steps=4).register(trainer)

    The trainer's ``optim_steps`` and all inner points go on counting backward passes. A window may
    span batches; one that training ends in is not stepped.

    Args:
        hook: an `OptimizerHook` or `ScaledOptimizerHook`, not registered itself.
        steps: backward passes per step of the optimizer.

    Raises:
        InvalidType: for another kind of hook.
        InvalidValue: for fewer than 1 pass.
    """

    def __init__(self, hook: OptimizerHook, steps: int) -> None:
        if not isinstance(hook, OptimizerHook):
            raise InvalidType(
                f"GradientAccumulation received a {type(hook).__name__}: expected an "
                "OptimizerHook, as in GradientAccumulation(OptimizerHook(optimizer), steps=4)."
            )
        if steps < 1:
            raise InvalidValue(f"steps={steps} of GradientAccumulation: expected at least 1.")
        self.hook = hook
        self.steps = steps

    def register(self, trainer: TrainerLike, name: str = "optimizer") -> None:
        """Hang both halves on ``optimizer``, as an `OptimizerHook` does; the second one rarely."""
        self.hook._norm_key = "grad_norm" if name == "optimizer" else f"grad_norm_{name}"
        trainer.register_op(
            "optimizer", self.backward, name=f"{name}.backward", priority=BACKWARD_PRIORITY
        )
        trainer.register_op("optimizer", self.step, name=f"{name}.step", priority=STEP_PRIORITY)
        trainer.register_module(name, self)

    def backward(
        self,
        losses: TensorDictBase,
        clip_grad_norm: bool,
        clip_norm: float | None,
        optim_step: int,
    ) -> None:
        """Add this step's share to the gradients."""
        share = scaled_losses(losses, lambda loss: loss / self.steps)
        self.hook.backward(share, clip_grad_norm, clip_norm, optim_step)

    @paced(every="steps")
    def step(
        self,
        losses: TensorDictBase,
        clip_grad_norm: bool,
        clip_norm: float | None,
        optim_step: int,
    ) -> TensorDictBase:
        """Step by what the window has gathered."""
        return self.hook.step(losses, clip_grad_norm, clip_norm, optim_step)

    def state_dict(self) -> dict[str, Any]:
        """The state of the wrapped hook, and the gradients of a window that is not full yet."""
        gradients = [None if p.grad is None else snapshot(p.grad) for p in self._parameters()]
        return {"optimizer": self.hook.state_dict(), "gradients": gradients}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore them.

        Raises:
            MissingKey: if the entries are not this hook's; nothing is changed then.
            InvalidValue: if they are for other parameters; nothing is changed then.
        """
        same_keys(state_dict, ("optimizer", "gradients"), owner=type(self).__name__)
        parameters, gradients = self._parameters(), state_dict["gradients"]
        shapes = [None if gradient is None else gradient.shape for gradient in gradients]
        if len(shapes) != len(parameters) or any(
            shape not in (None, p.shape) for shape, p in zip(shapes, parameters, strict=True)
        ):
            raise InvalidValue(
                f"the state for GradientAccumulation has {len(shapes)} gradients that are not of "
                f"these {len(parameters)} parameters: expected the same parameters."
            )
        self.hook.load_state_dict(state_dict["optimizer"])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.to(parameter, copy=True)

    def _parameters(self) -> list[torch.Tensor]:
        return [p for group in self.hook.optimizer.param_groups for p in group["params"]]


def scaled_losses(
    losses: TensorDictBase, scale: Callable[[torch.Tensor], torch.Tensor]
) -> TensorDict:
    """Apply `scale` to every entry that gradients flow through; the given losses stay as they are.

    What is logged is therefore never scaled.
    """
    entries = {key: scale(loss) if loss.requires_grad else loss for key, loss in losses.items()}
    return TensorDict(entries, batch_size=losses.batch_size)
