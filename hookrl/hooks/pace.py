"""Intervals that a hook was made with: they hold whoever calls the hook."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from hookrl.hooks.cadence import Cadence

Operation = TypeVar("Operation", bound=Callable[..., Any])


class Pace(NamedTuple):
    """An interval as `Cadence` takes it."""

    every: int = 1
    every_frames: int | None = None


def paced(
    *, every: str | None = None, every_frames: str | None = None
) -> Callable[[Operation], Operation]:
    """Have an operation of a hook run at an interval that is an attribute of the hook.

    hookrl's trainer takes the interval over when the operation is registered, whether by the hook's
    own ``register`` or by `Trainer.register_op`: it then shows in `Trainer.describe`, and its count
    is part of the trainer's state. For anybody else who calls the operation, such as torchrl's
    trainer, the hook counts the calls itself.

    Args:
        every: name of the attribute that holds the calls between two runs.
        every_frames: name of the attribute that holds the collected frames between two runs, if
            they matter; the hook must know its trainer then.
    """

    def mark(operation: Operation) -> Operation:
        @functools.wraps(operation)
        def call(hook: Any, *args: Any) -> Any:
            pace = _pace(hook, call)
            cadences: dict[str, Cadence] = hook.__dict__.setdefault("_own_cadences", {})
            cadence = cadences.setdefault(call.__name__, Cadence(*pace))
            frames = hook._trainer.collected_frames if pace.every_frames else 0
            return operation(hook, *args) if cadence.due(frames) else None

        call.__dict__["pace"] = (every, every_frames)
        return cast(Operation, call)

    return mark


def taken_apart(op: Callable[..., Any]) -> tuple[Callable[..., Any], Pace]:
    """Return what an operation does whenever it is called, and the pace it is marked with."""
    # A method has its function with it; an object is called by the function of its class.
    static = inspect.getattr_static(type(op), "__call__", None)
    function = getattr(op, "__func__", static)
    if not hasattr(function, "pace"):
        return op, Pace()
    hook = getattr(op, "__self__", op)
    return functools.partial(cast(Any, function).__wrapped__, hook), _pace(hook, function)


def _pace(hook: Any, function: Any) -> Pace:
    every, every_frames = function.pace
    return Pace(
        1 if every is None else getattr(hook, every),
        None if every_frames is None else getattr(hook, every_frames) or None,
    )
