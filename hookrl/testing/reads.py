"""Whether what a hook declares to read is what it needs: entries are taken away one by one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.errors import MissingKey, did_you_mean
from hookrl.testing.observe import (
    Trace,
    WatchedOperation,
    first_tensordict,
    keys_of,
    watched_registration,
)
from hookrl.testing.setting import BATCHES, NAME, Setting, told


class UnsuitableData(MissingKey):
    """The data lack what the hook, rightly, declares to read."""


def check_that_it_can_read(
    setting: Setting, operation: WatchedOperation, data: TensorDictBase
) -> None:
    """Before the first call: are the declared keys there?

    Raises:
        UnsuitableData: naming one that is not, and the nearest that is.
    """
    present = keys_of(data)
    for key in operation.declared_reads:
        if key not in present:
            raise UnsuitableData(
                f"{setting.kind} declares to read {key!r}, which the data it is checked on do not "
                f"have{did_you_mean(str(key), map(str, present))}: expected check_hook to be given "
                "a batch= or trainer= with it."
            )


def check_reads(setting: Setting) -> None:
    """The first call fails without a declared key, and without no other of the environment's."""
    for number, operation, given in _readers(setting):
        declared = operation.declared_reads
        for key in declared:
            if _failure_without(setting, number, key) is None:
                raise setting.fail(
                    "reads",
                    f"{operation.__name__} at {operation.point!r} declares to read {key!r} and "
                    "does without it",
                    "only keys it cannot do without",
                )
        for key in sorted(given, key=str):
            if any(_covers(known, key) for known in declared):
                continue
            error = _failure_without(setting, number, key)
            if error is not None:
                raise setting.fail(
                    "reads",
                    f"{operation.__name__} at {operation.point!r} declares to read "
                    f"{', '.join(map(repr, declared))}, but without {key!r} it raised "
                    f"{told(error)}",
                    "every key it needs to be declared, or none",
                )


class _SeenEnough(Exception):
    """Ends a run whose only purpose was one call."""


class _Reader(NamedTuple):
    """An operation that declares what it reads, and what it was given at its first call."""

    number: int
    operation: WatchedOperation
    given: set[NestedKey]
    """Of the entries of the environment, those that were there."""


def _readers(setting: Setting) -> list[_Reader]:
    """The operations of the hook that declare to read and are called in a short run."""
    trainer = setting.trainer()
    hook = setting.hook(trainer)
    given: dict[WatchedOperation, set[NestedKey]] = {}

    def watch(operation: WatchedOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        data = first_tensordict(args)
        if data is not None:
            given.setdefault(operation, keys_of(data) & trace.environment_keys)
        return operation.op(*args, **kwargs)

    with watched_registration(trainer, watch) as operations:
        hook.register(trainer, NAME)
    trace = Trace(trainer, BATCHES)
    trace.train()
    return [
        _Reader(number, operation, given[operation])
        for number, operation in enumerate(operations)
        if operation.declared_reads and operation in given
    ]


def _failure_without(setting: Setting, number: int, key: NestedKey) -> Exception | None:
    """What the first call of an operation raises if its batch lacks `key`."""
    trainer = setting.trainer()
    hook = setting.hook(trainer)
    failures: list[Exception] = []

    def watch(operation: WatchedOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if operation is not operations[number]:
            return operation.op(*args, **kwargs)
        data, *rest = args
        try:
            operation.op(data.exclude(key), *rest, **kwargs)
        except StopIteration:
            pass
        except Exception as error:
            failures.append(error)
        raise _SeenEnough

    with watched_registration(trainer, watch) as operations:
        hook.register(trainer, NAME)
    with suppress(_SeenEnough):
        Trace(trainer, BATCHES).train()
    return failures[0] if failures else None


def _covers(known: NestedKey, key: NestedKey) -> bool:
    """Whether `key` is `known`, or lies in the TensorDict of that name."""
    outer = known if isinstance(known, tuple) else (known,)
    inner = key if isinstance(key, tuple) else (key,)
    return inner[: len(outer)] == outer
