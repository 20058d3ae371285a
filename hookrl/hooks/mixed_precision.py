"""Learning in half precision: the forward pass of the loss, and gradients that do not underflow.

Two parts, because the loop calls the loss between two points: `MixedPrecision` wraps the loss
module, and, for float16 only, `ScaledOptimizerHook` takes the place of the `OptimizerHook`::

    trainer = Trainer(loss_module=MixedPrecision(loss, dtype=torch.float16), optimizer=None, ...)
    ScaledOptimizerHook(optimizer).register(trainer)

bfloat16 has the range of float32 and needs no scaling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.clipping import clip_to_norm
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks.gradient_accumulation import scaled_losses
from hookrl.hooks.optimizer import OptimizerHook
from hookrl.state import same_keys


class MixedPrecision:
    """A loss module whose forward pass runs under autocast; in everything else, the module itself.

    Args:
        loss_module: from a TensorDict to a TensorDict of losses, which are returned in float32.
        dtype: bfloat16 or float16.
        device_type: such as "cuda"; None: where the module's parameters are.

    Raises:
        InvalidValue: for another dtype.
        InvalidType: for something that cannot be called.
    """

    def __init__(
        self,
        loss_module: Any,
        dtype: torch.dtype = torch.bfloat16,
        device_type: str | None = None,
    ) -> None:
        if dtype not in (torch.bfloat16, torch.float16):
            raise InvalidValue(
                f"dtype={dtype} of MixedPrecision: expected torch.bfloat16 or torch.float16."
            )
        if not callable(loss_module):
            raise InvalidType(
                f"loss_module of MixedPrecision is a {type(loss_module).__name__}: expected a "
                "callable from a TensorDict to a TensorDict."
            )
        self.loss_module = loss_module
        self.dtype = dtype
        self.device_type = device_type or _device_type(loss_module)

    def __call__(self, sub_batch: TensorDictBase) -> Any:
        """Compute the losses."""
        with torch.autocast(self.device_type, dtype=self.dtype):
            losses = self.loss_module(sub_batch)
        if not isinstance(losses, TensorDictBase):  # the trainer says what is wrong with it
            return losses
        return losses.apply(lambda value: value.float() if value.dtype == self.dtype else value)

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of the loss module."""
        if name == "loss_module":  # not there yet, while a copy is being made
            raise AttributeError(name)
        return getattr(self.loss_module, name)

    def state_dict(self) -> Any:
        """The state of the loss module, which therefore loads with or without mixed precision."""
        return self.loss_module.state_dict()

    def load_state_dict(self, state_dict: Any) -> Any:
        """Restore it."""
        return self.loss_module.load_state_dict(state_dict)


class ScaledOptimizerHook(OptimizerHook):
    """An `OptimizerHook` that multiplies losses up before backward, and gradients down after it.

    A step whose gradients overflow is left out, and the scale lowered; finding out waits for the
    device once per step. Gradients are clipped by their true size.

    Args:
        optimizer: as for `OptimizerHook`.
        loss_components: as for `OptimizerHook`.
        scaler: of this optimizer alone; None: a new one for the device of its parameters.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        loss_components: Sequence[str] | None = None,
        *,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        super().__init__(optimizer, loss_components)
        if scaler is None:
            scaler = torch.amp.GradScaler(optimizer.param_groups[0]["params"][0].device.type)
        self.scaler = scaler

    def backward(
        self,
        losses: TensorDictBase,
        clip_grad_norm: bool,
        clip_norm: float | None,
        optim_step: int,
    ) -> None:
        """Compute the scaled gradients."""
        scaled = scaled_losses(losses, self.scaler.scale)
        super().backward(scaled, clip_grad_norm, clip_norm, optim_step)

    def step(
        self,
        losses: TensorDictBase,
        clip_grad_norm: bool,
        clip_norm: float | None,
        optim_step: int,
    ) -> TensorDictBase:
        """Unscale, clip, step unless gradients overflowed, clear, and adapt the scale."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if all(parameter.grad is None for parameter in parameters):
            return losses  # as a plain optimizer, which has nothing to do then; a scaler refuses
        self.scaler.unscale_(self.optimizer)
        if clip_norm is not None:
            if clip_grad_norm:
                norm = clip_to_norm(parameters, clip_norm)
                losses.set(self._norm_key, norm)
            else:
                torch.nn.utils.clip_grad_value_(parameters, clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return losses

    def state_dict(self) -> dict[str, Any]:
        """The state of optimizer and scaler."""
        return {"optimizer": super().state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore both.

        Raises:
            MissingKey: if the entries are not those of such a hook; nothing is changed then.
        """
        own = self.state_dict()
        same_keys(state_dict, own, owner=type(self).__name__)
        same_keys(state_dict["scaler"], own["scaler"], owner=f"the scaler of {type(self).__name__}")
        super().load_state_dict(state_dict["optimizer"])
        if own["scaler"]:  # one that is disabled has no state and takes none
            self.scaler.load_state_dict(dict(state_dict["scaler"]))


def _device_type(loss_module: Any) -> str:
    parameters = getattr(loss_module, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    return "cpu" if first is None else first.device.type
