"""What a hook is, and what it may know of the trainer it hangs on."""

from __future__ import annotations

import functools
import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from hookrl.errors import InvalidType
from hookrl.state import restored, same_keys, snapshot

if TYPE_CHECKING:
    from tensordict import TensorDictBase
    from tensordict.utils import NestedKey

    from hookrl.hooks.registry import HookHandle


class TrainerLike(Protocol):
    """The part of a trainer that hooks may rely on."""

    collected_frames: int
    """Valid environment frames so far, frame skip included: the one step axis."""
    optim_steps: int
    """Optimization steps so far."""
    optim_steps_per_batch: int | None
    collector: Any
    loss_module: Any
    optimizer: Any
    logger: Any
    replay_buffer: Any
    losses: TensorDictBase | None
    """The losses of the current step: live from the loss call on, detached after the optimizer."""

    @property
    def mean_losses(self) -> dict[str, Any]:
        """Mean of every entry of the losses over the current inner loop."""
        ...

    def register_op(
        self, dest: str, op: Callable[..., Any], *, name: str | None = None, **options: Any
    ) -> HookHandle:
        """Hang `op` on the point `dest`."""
        ...

    def register_module(self, module_name: str, module: Any) -> None:
        """Make the state of `module` part of the trainer's."""
        ...

    def request_stop(self, reason: str | None = None) -> None:
        """End training after the current batch."""
        ...

    def end_inner_loop(self, reason: str | None = None) -> None:
        """End the inner loop after this step, or before its first."""
        ...


@numbers.Number.register
class _Reported(ABC):
    """A metric that is more than its value; `float` gives that, and may wait for a device.

    hookrl's trainer never asks for it. Other trainers' loggers do, and take it for a number.
    """

    __slots__ = ()

    @abstractmethod
    def __float__(self) -> float: ...

    def __format__(self, specification: str) -> str:
        return format(float(self), specification)


@dataclass(frozen=True, slots=True)
class Mean(_Reported):
    """A mean in two parts, so that several combine to the mean over everything they saw.

    A logging hook returns it where batches weigh differently (episodes ended, valid frames).
    """

    total: Any
    count: Any

    def __float__(self) -> float:
        count = float(self.count)
        return float(self.total) / count if count else float("nan")


@dataclass(frozen=True, slots=True)
class Latest(_Reported):
    """A value that is not averaged: a row holds the last one before it, as of a counter."""

    value: Any

    def __float__(self) -> float:
        return float(self.value)


class TrainerHookBase(ABC):
    """Base of all hooks: its state, and how it registers itself.

    Beside the points, a hook may define any of these methods, each called with the trainer:
    ``prepare`` (before every optimization step: what needs the host), ``on_train_start``,
    ``on_batch_start`` (before the next batch is asked for), ``on_metrics(trainer, row)`` (a row of
    metrics was written, before the next checkpoint), ``on_train_end`` (training ended in
    good order), ``on_exception(trainer, error)`` and ``teardown`` (always, last).
    A method ``set_seed(seed_sequence)`` receives the hook's own ``numpy.random.SeedSequence``.
    In all of them, and at the points, ``self._trainer`` is the trainer. They see it through a
    ``weakref.proxy``: no hook keeps its trainer from being freed.
    """

    state_fields: ClassVar[tuple[str, ...]] = ()
    """Attributes that are the hook's state: plain values, tensors or NumPy arrays."""
    reads: tuple[NestedKey, ...] = ()
    """TensorDict keys the hook needs; checked at its first call. Empty: unchecked."""
    writes: tuple[NestedKey, ...] = ()
    """TensorDict keys the hook adds; checked after its first call. Empty: unchecked."""
    capturable: bool = False
    """Whether ``__call__`` is pure tensor code that a captured step may contain."""
    inputs: tuple[str, ...] = ()
    """Attributes, tensors that ``prepare`` leaves there, which a captured step reads anew; None
    in one of them ends the inner loop.

    A hook at ``process_optim_batch`` that makes its sub-batch of these and of tensors of its own
    has a method ``stand_in``. What that returns is given to it there, in place of the batch: an
    empty TensorDict of the size of the sub-batch, to which the loss may add its noise."""
    varying: tuple[str, ...] = ()
    """Those of the `inputs` whose first dimension is not always that long."""
    deferrable: bool = False
    """Whether a hook at ``post_loss`` may as well run after the step."""

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state: tensors and plain values."""
        return {field: snapshot(getattr(self, field)) for field in self.state_fields}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            MissingKey: if the entries are not exactly this hook's; nothing is changed then.
        """
        same_keys(state_dict, self.state_fields, owner=type(self).__name__)
        values = {f: restored(state_dict[f], getattr(self, f)) for f in self.state_fields}
        for field, value in values.items():
            setattr(self, field, value)

    @abstractmethod
    def register(self, trainer: TrainerLike, name: str) -> None:
        """Hang the hook on its points and make its state part of the trainer's."""

    @functools.cached_property
    def _trainer(self) -> TrainerLike:
        """The trainer that the hook hangs on: hookrl's set it, before training at the latest."""
        kind = type(self).__name__
        raise InvalidType(
            f"{kind} hangs on no trainer that it knows of: expected it to be registered with a "
            "Trainer of hookrl, since others do not tell a hook who calls it."
        )


Operation = TypeVar("Operation", bound=Callable[..., Any])


def declares(
    *, reads: tuple[NestedKey, ...] = (), writes: tuple[NestedKey, ...] = ()
) -> Callable[[Operation], Operation]:
    """Declare keys for one method of a hook that has several (see `TrainerHookBase.reads`)."""

    def mark(operation: Operation) -> Operation:
        operation.__dict__.update(reads=reads, writes=writes)
        return operation

    return mark
