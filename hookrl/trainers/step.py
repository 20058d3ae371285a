"""One optimization step, behind an interface of its own.

The loop does not know how a step is carried out. `EagerStep` runs it operation by operation; an
implementation that captures the same hooks in one graph can take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.errors import InvalidType
from hookrl.hooks.registration import Registration
from hookrl.hooks.registry import HookRegistry
from hookrl.tensordicts import assembled, items

PrepareCalls = tuple[tuple[Any, Callable[[Any], None]], ...]
"""Hooks that have a first phase, and what carries it out when it is given the trainer."""


class StepHost(Protocol):
    """The part of a trainer that a step works with."""

    hooks: HookRegistry
    loss_module: Callable[[Any], Any]
    clip_grad_norm: bool
    clip_norm: float | None
    losses: TensorDictBase | None
    optim_steps: int
    recaptures: int
    """How often settings that were part of a captured step have changed."""
    prepare_calls: PrepareCalls

    def record_losses(self, losses: TensorDictBase) -> None:
        """Count the losses of a step into their mean."""
        ...

    def count_captured_step(
        self,
        names: tuple[str, ...],
        values: torch.Tensor,
        losses: Callable[[], TensorDictBase],
    ) -> None:
        """Count a captured step and its losses, made into a TensorDict if asked for."""
        ...

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Take in metrics."""
        ...


class OptimizationStep(Protocol):
    """Carries out steps of the inner loop."""

    def __call__(self, batch: Any, index: int) -> bool:
        """Carry out step `index` on `batch`; False if there was nothing left to learn from."""
        ...

    @property
    def captured(self) -> Sequence[Registration]:
        """The hooks that are carried out as part of one graph."""
        ...

    def reset(self) -> None:
        """Hooks have come or gone, or state was loaded: remember nothing of how it was."""
        ...


class EagerStep:
    """The step as the ten points describe it, one operation after the other."""

    def __init__(self, trainer: StepHost) -> None:
        self._trainer = trainer
        hooks = trainer.hooks
        self._process_optim_batch = hooks["process_optim_batch"]
        self._post_loss = hooks["post_loss"]
        self._optimizer = hooks["optimizer"]
        self._post_optim = hooks["post_optim"]
        self._post_optim_log = hooks["post_optim_log"]

    def __call__(self, batch: Any, index: int) -> bool:
        """Carry out step `index` on `batch`; False if there was nothing left to learn from."""
        try:
            prepare(self._trainer.prepare_calls, self._trainer)
            sub_batch = self._process_optim_batch.replace(batch)
        except StopIteration:  # a hook that draws from an iterator ran out
            return False
        return self.learn(sub_batch, index)

    captured: Sequence[Registration] = ()

    def reset(self) -> None:
        """There is nothing to forget."""

    def learn(self, sub_batch: Any, index: int) -> bool:
        """Carry out step `index` on its sub-batch; False if there is nothing in it."""
        if not sub_batch.batch_size.numel():  # TensorDict.numel() is never below 1
            return False
        trainer = self._trainer
        losses = trainer.losses = checked_losses(trainer.loss_module(sub_batch))
        sub_batch = self._post_loss.replace(sub_batch)
        losses = self._optimizer.replace(losses, trainer.clip_grad_norm, trainer.clip_norm, index)
        detached = {n: loss.detach() if loss.requires_grad else loss for n, loss in items(losses)}
        trainer.losses = losses = assembled(detached, losses.batch_size)
        trainer.optim_steps += 1
        self._post_optim.run()
        trainer.record_losses(losses)
        self._post_optim_log.collect(sub_batch, trainer.log)
        return True


def prepare(calls: PrepareCalls, trainer: Any) -> None:
    """Have hooks prepare the next step; what one raises says so."""
    for hook, call in calls:
        try:
            call(trainer)
        except BaseException as error:
            error.add_note(f"raised by prepare of hook {type(hook).__name__}")
            raise


def checked_losses(losses: Any) -> Any:
    """Return `losses` if it is what a loss module must give.

    Raises:
        InvalidType: if it is not a TensorDict.
    """
    if type(losses) is TensorDict or isinstance(losses, TensorDictBase):
        return losses
    raise InvalidType(
        f"loss_module returned a {type(losses).__name__}: expected a TensorDict whose entries "
        "named 'loss_…' are the losses."
    )
