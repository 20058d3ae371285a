"""Sends the weights that are trained to where a collector acts with copies of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

from hookrl.errors import InvalidType, InvalidValue, MissingKey, did_you_mean
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.pace import paced

_POINTS = {"batches": "post_steps", "optim_steps": "post_optim"}


class UpdateWeights(TrainerHookBase):
    """Calls ``collector.update_policy_weights_`` at intervals.

    Needed where the collector's policy lives on another device or in other processes, as with
    torchrl's collectors. hookrl's own collectors follow the trained weights by themselves.

    Args:
        collector: has a method ``update_policy_weights_``.
        update_weights_interval: batches, or optimization steps, between two updates.
        policy_weights_getter: returns the weights to send; None: the collector knows them.
        weight_update_map: from a destination in the collector to the path of a module in the
            trainer, such as ``{"policy": "loss_module.actor_network"}``.
        trainer: where those paths start, and whose steps are counted; None: the one that the hook
            is registered with.
        sender: has a method ``update_weights()``, which is called instead of the collector.
        interval_unit: "batches", which are the calls of the hook, or "optim_steps", the trainer's,
            for updates in the middle of the inner loop.

    Raises:
        InvalidValue: for an interval below 1, an unknown unit, or arguments that exclude each
            other.
        InvalidType: if there is nothing that could be asked to update.
    """

    state_fields = ("_steps_sent",)

    def __init__(
        self,
        collector: Any = None,
        update_weights_interval: int = 1,
        policy_weights_getter: Callable[[], Any] | None = None,
        weight_update_map: Mapping[str, str] | None = None,
        trainer: Any = None,
        *,
        sender: Any = None,
        interval_unit: Literal["batches", "optim_steps"] = "batches",
    ) -> None:
        if update_weights_interval < 1:
            raise InvalidValue(
                f"update_weights_interval={update_weights_interval} of UpdateWeights: expected at "
                "least 1."
            )
        if interval_unit not in _POINTS:
            raise InvalidValue(
                f"interval_unit={interval_unit!r} of UpdateWeights"
                f"{did_you_mean(interval_unit, _POINTS)}: expected one of {', '.join(_POINTS)}."
            )
        if sender is not None and (policy_weights_getter or weight_update_map):
            raise InvalidValue(
                "UpdateWeights with a sender takes no policy_weights_getter or weight_update_map: "
                "expected one way to send weights."
            )
        target, method = (
            (collector, "update_policy_weights_") if sender is None else (sender, "update_weights")
        )
        if not callable(getattr(target, method, None)):
            raise InvalidType(
                f"UpdateWeights for a {type(target).__name__}: expected an object with a method "
                f"{method}; a collector that follows the weights by itself needs no such hook."
            )
        self.collector = collector
        self.update_weights_interval = update_weights_interval
        self.policy_weights_getter = policy_weights_getter
        self.weight_update_map = None if weight_update_map is None else dict(weight_update_map)
        self.trainer = trainer
        self.sender = sender
        self.interval_unit = interval_unit
        self._steps_sent = 0

    def register(self, trainer: TrainerLike, name: str = "update_weights") -> None:
        """Hang the hook on ``post_steps``, or on ``post_optim`` if it counts optimization steps."""
        trainer.register_op(_POINTS[self.interval_unit], self, name=name)
        trainer.register_module(name, self)

    @paced(every="_calls")
    def __call__(self) -> None:
        """Send the weights, if so many steps were taken since the last time."""
        if self.interval_unit == "optim_steps":
            steps = self._source().optim_steps
            if steps - self._steps_sent < self.update_weights_interval:
                return
            self._steps_sent = steps
        if self.sender is not None:
            self.sender.update_weights()
        elif self.weight_update_map is not None:
            self.collector.update_policy_weights_(weights_dict=self._mapped_weights())
        elif self.policy_weights_getter is not None:
            self.collector.update_policy_weights_(self.policy_weights_getter())
        else:
            self.collector.update_policy_weights_()

    @property
    def _calls(self) -> int:
        return self.update_weights_interval if self.interval_unit == "batches" else 1

    def _source(self) -> Any:
        return self._trainer if self.trainer is None else self.trainer

    def _mapped_weights(self) -> dict[str, Any]:
        """Weights by destination, in the form that the collector's scheme for it expects."""
        from torchrl.weight_update.weight_sync_schemes import WeightStrategy  # late: it is slow

        schemes = getattr(self.collector, "_weight_sync_schemes", None) or {}
        weights = {}
        for destination, path in (self.weight_update_map or {}).items():
            form = getattr(schemes.get(destination), "strategy_str", "tensordict")
            weights[destination] = WeightStrategy(extract_as=form).extract_weights(
                self._module(path)
            )
        return weights

    def _module(self, path: str) -> Any:
        try:
            return functools.reduce(getattr, path.split("."), self._source())
        except AttributeError as error:
            raise MissingKey(
                f"the path {path!r} in the weight_update_map of UpdateWeights leads nowhere: "
                f"{error}."
            ) from None
