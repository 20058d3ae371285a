"""A moving average of the weights, often better to act with than the last ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.pace import paced
from hookrl.hooks.weights import check_alike, parameters_and_buffers
from hookrl.state import snapshot


class ExponentialMovingAverage(TrainerHookBase):
    """Keeps ``average ← decay · average + (1 − decay) · weights``, after each optimization step.

    The average starts from the weights at construction; buffers are not averaged. To act with it,
    lend it to the network for a while::

        def evaluate(batch):
            with average.applied():
                return validation.evaluate()

        trainer.register_op("post_steps_log", evaluate, every_frames=10_000)

    Args:
        module: a module or TensorDict whose parameters are averaged, on its final device.
        decay: weight of the past, at least 0 and below 1; about ``1 / (1 − decay)`` updates count.
        every: optimization steps between updates.

    Raises:
        InvalidValue: for a decay outside its range.
        InvalidType: for something that holds no parameters.
    """

    capturable = True

    def __init__(
        self, module: torch.nn.Module | TensorDictBase, decay: float = 0.999, *, every: int = 1
    ) -> None:
        if not 0 <= decay < 1:
            raise InvalidValue(
                f"decay={decay} of ExponentialMovingAverage: expected at least 0 and below 1."
            )
        self.decay = decay
        self.every = every
        parameters, _ = parameters_and_buffers(module)
        self._parameters = list(parameters.values())
        self.average = {name: snapshot(tensor) for name, tensor in parameters.items()}
        """The averaged weights by name."""

    def register(self, trainer: TrainerLike, name: str = "weight_average") -> None:
        """Hang the hook on ``post_optim``."""
        trainer.register_op("post_optim", self, name=name)
        trainer.register_module(name, self)

    @paced(every="every")
    @torch.no_grad()
    def __call__(self) -> None:
        """Take in the weights as they are."""
        torch._foreach_lerp_(list(self.average.values()), self._parameters, 1 - self.decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in the network's place inside the block; the weights come back exactly.

        Both are written in place, so whoever holds the parameters, or views of them, sees it.
        """
        with torch.no_grad():
            weights = [parameter.clone() for parameter in self._parameters]
            torch._foreach_copy_(self._parameters, list(self.average.values()))
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._parameters, weights)

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights by name."""
        return {name: snapshot(tensor) for name, tensor in self.average.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore them in place.

        Raises:
            MissingKey: if names differ; nothing is changed then.
            InvalidValue: if shapes differ; nothing is changed then.
        """
        check_alike(self.average, state_dict, type(self).__name__)
        for name, tensor in self.average.items():
            tensor.copy_(state_dict[name])
