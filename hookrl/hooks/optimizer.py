"""Backward pass, gradient clipping, optimizer step: what happens at the point ``optimizer``.

With several optimizers the losses are computed once, so every backward pass must run before any
optimizer changes a parameter. Each hook therefore hangs two operations on the point, ordered by
priority: all `backward` run ahead of all `step`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.clipping import clip_to_norm
from hookrl.errors import InvalidType, InvalidValue, MissingKey, did_you_mean
from hookrl.fused_adam import step_and_clear
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.state import same_keys
from hookrl.tensordicts import items, put

BACKWARD_PRIORITY = -50
STEP_PRIORITY = 50


def minimised(losses: TensorDictBase) -> list[tuple[str, torch.Tensor]]:
    """Names and values of the losses that are to be minimised, and no diagnostics."""
    return [
        (name, loss) for name, loss in items(losses) if name == "loss" or name.startswith("loss_")
    ]


class OptimizerHook(TrainerHookBase):
    """Optimizes some or all of the losses.

    Args:
        optimizer: the optimizer.
        loss_components: names of the losses it minimises the sum of; None: ``loss`` and all
            ``loss_…``, which is how hookrl's and torchrl's loss modules name what to minimise.

    Raises:
        InvalidValue: for an empty list of components.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, loss_components: Sequence[str] | None = None
    ) -> None:
        if loss_components is not None and not loss_components:
            raise InvalidValue(
                "loss_components of an OptimizerHook is empty: expected names of losses, or None "
                "for all."
            )
        self.optimizer = optimizer
        self.loss_components = None if loss_components is None else tuple(loss_components)
        self._norm_key = "grad_norm"
        self._retain_graph = False

    def register(self, trainer: TrainerLike, name: str = "optimizer") -> None:
        """Hang both halves on ``optimizer``; the optimizer's state becomes the trainer's."""
        # Losses may share a graph (a common trunk): it is freed by the last backward pass only.
        for module in getattr(trainer, "modules", {}).values():
            if isinstance(module, OptimizerHook):
                module._retain_graph = True
        self._norm_key = "grad_norm" if name == "optimizer" else f"grad_norm_{name}"
        trainer.register_op(
            "optimizer", self.backward, name=f"{name}.backward", priority=BACKWARD_PRIORITY
        )
        trainer.register_op("optimizer", self.step, name=f"{name}.step", priority=STEP_PRIORITY)
        trainer.register_module(name, self)

    def __call__(
        self,
        losses: TensorDictBase,
        clip_grad_norm: bool,
        clip_norm: float | None,
        optim_step: int,
    ) -> TensorDictBase:
        """Backward and step at once, for a hook that was registered by hand."""
        self.backward(losses, clip_grad_norm, clip_norm, optim_step)
        return self.step(losses, clip_grad_norm, clip_norm, optim_step)

    def backward(
        self,
        losses: TensorDictBase,
        clip_grad_norm: bool,
        clip_norm: float | None,
        optim_step: int,
    ) -> None:
        """Compute the gradients of the sum of this hook's losses.

        Raises:
            MissingKey: if a component is not among the losses.
            InvalidType: if a loss is not a scalar.
        """
        total = functools.reduce(operator.add, self._components(losses))
        if total.ndim:
            raise InvalidType(
                f"the losses for the optimizer sum to shape {tuple(total.shape)}: expected "
                "scalars; reduce them in the loss module."
            )
        total.backward(retain_graph=self._retain_graph)

    def step(
        self,
        losses: TensorDictBase,
        clip_grad_norm: bool,
        clip_norm: float | None,
        optim_step: int,
    ) -> TensorDictBase:
        """Clip, step, clear the gradients; returns the losses with the norm before clipping."""
        if clip_norm is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            if clip_grad_norm:
                norm = clip_to_norm(parameters, clip_norm)
                losses = losses.clone(recurse=False) if losses.is_locked else losses
                put(losses, self._norm_key, norm)
            else:
                torch.nn.utils.clip_grad_value_(parameters, clip_norm)
        step_and_clear(self.optimizer)
        return losses

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the optimizer's state.

        Raises:
            MissingKey: if the entries are not those of such an optimizer; nothing is changed then.
        """
        same_keys(state_dict, self.optimizer.state_dict(), owner=type(self).__name__)
        self.optimizer.load_state_dict(dict(state_dict))

    def _components(self, losses: TensorDictBase) -> list[torch.Tensor]:
        if self.loss_components is None:
            components = [loss for _, loss in minimised(losses)]
            if not components:
                raise MissingKey(
                    "no entry of the losses is 'loss' or starts with 'loss_': found "
                    f"{', '.join(losses.keys())}."
                )
            return components
        present = list(losses.keys())
        for name in self.loss_components:
            if name not in present:
                raise MissingKey(
                    f"the loss {name!r} of an OptimizerHook does not exist"
                    f"{did_you_mean(name, present)}: the loss module gives {', '.join(present)}."
                )
        return [losses.get(name) for name in self.loss_components]
