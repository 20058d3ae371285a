"""What parts written for torchrl expect of a trainer: names, and a loss that is complete.

A hook written for torchrl reads ``trainer._optim_count`` and gets ``trainer.optim_steps``. hookrl
itself uses none of these names.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hookrl.errors import InvalidType
from hookrl.hooks.base import Latest, Mean
from hookrl.trainers.checkpointing import Checkpointing


class LatestMetrics(Mapping[str, list[Any]]):
    """The last value of every metric that was reported, as a list of one.

    torchrl keeps every value of a run in these lists; its hooks read only the last.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def remember(self, metrics: Mapping[str, Any]) -> None:
        """Take in metrics as they are reported; no device is waited for."""
        for name, value in metrics.items():
            if name != "log_pbar":
                self._values[name] = _value(value, self._values.get(name))

    def __getitem__(self, name: str) -> list[Any]:
        return [self._values[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class TorchrlNames(Checkpointing):
    """A host of hooks, in the words of torchrl; see `hookrl.trainers.Trainer`."""

    log: Any
    stop_reason: str | None
    _stop: bool

    @functools.cached_property
    def _log_dict(self) -> LatestMetrics:
        """Last values of all metrics; the trainer's method ``log`` has them remembered."""
        return LatestMetrics()

    @property
    def _optim_count(self) -> int:
        """Optimization steps so far."""
        return self.optim_steps

    @property
    def _modules(self) -> dict[str, Any]:
        """The registered modules by name."""
        return self.modules

    @property
    def _stop_training(self) -> bool:
        """Whether training ends after this batch."""
        return self._stop

    @_stop_training.setter
    def _stop_training(self, stop: bool) -> None:
        self._stop = stop

    @property
    def _stop_reason(self) -> str | None:
        """Why training ends or ended."""
        return self.stop_reason

    def _log(self, log_pbar: bool = False, **metrics: Any) -> None:
        """Report metrics."""
        self.log({**metrics, "log_pbar": log_pbar})

    def register_module(self, module_name: str, module: Any) -> None:
        """Make the state of `module` part of the trainer's.

        Raises:
            InvalidType: also for one of torchrl's optimization steppers, which nothing would call.
        """
        if any(kind.__name__ == "OptimizationStepper" for kind in type(module).__mro__):
            raise InvalidType(
                f"{type(module).__name__} replaces torchrl's whole optimization step: expected "
                "hooks; hang its optimizer on the point 'optimizer' with an OptimizerHook."
            )
        super().register_module(module_name, module)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that was registered, the counters, and all generators."""
        _complete(self.loss_module)
        return super().state_dict()

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore what `state_dict` returned; see `Checkpointing.load_state_dict`."""
        _complete(self.loss_module)
        super().load_state_dict(state, strict)

    @property
    def app_state(self) -> dict[str, Any]:
        """The trainer as ``torchsnapshot.Snapshot`` takes it: everything is in its state."""
        return {"trainer": self}

    def compute_loss(self, sub_batch: Any, method: str | None = None) -> Any:
        """Call the loss module, or one of its methods."""
        return (self.loss_module if method is None else getattr(self.loss_module, method))(
            sub_batch
        )


def _complete(loss_module: Any) -> None:
    """Have one of torchrl's losses make its value estimator now, if it has none yet.

    It would at its first call, and from then on have buffers that a fresh one lacks.
    """
    if getattr(loss_module, "_value_estimator", ...) is None:
        with contextlib.suppress(NotImplementedError):  # there is none by default
            loss_module.value_estimator  # noqa: B018 - reading it makes it


def _value(reported: Any, before: Any) -> Any:
    """What a metric's value is; for a mean over nothing what it was, or NaN if it was nothing."""
    if type(reported) is float:
        return reported
    if isinstance(reported, torch.Tensor):
        return reported.detach()
    if isinstance(reported, Latest):
        return reported.value
    if not isinstance(reported, Mean):
        return reported
    total, count = reported.total, reported.count
    before = float("nan") if before is None else before
    if not isinstance(count, torch.Tensor) or count.device.type == "cpu":
        return total / count if count else before
    return torch.where(count > 0, total / count, before).detach()
