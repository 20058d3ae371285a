"""One operation at one point: what was said of it when it was registered, and how it is called."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from tensordict import TensorDictBase, is_tensor_collection
from tensordict.utils import unravel_key

from hookrl.errors import InvalidType, MissingKey, did_you_mean
from hookrl.hooks.cadence import Cadence
from hookrl.hooks.pace import taken_apart
from hookrl.hooks.points import HookPoint

Names = str | Iterable[str] | None


class Registration:
    """One operation at one point, with everything that was said when it was registered."""

    def __init__(
        self,
        point: HookPoint,
        op: Callable[..., Any],
        name: str,
        *,
        priority: int,
        before: Names,
        after: Names,
        cadence: Cadence,
        kwargs: dict[str, Any],
        frames: Callable[[], int],
    ) -> None:
        self.point = point
        self.op = op
        self.name = name
        self.priority = priority
        self.before = _as_names(before)
        self.after = _as_names(after)
        self.cadence = cadence
        self.owner: Any = getattr(op, "__self__", op)
        self.explicit_name = False
        run, _ = taken_apart(op)
        self._run = functools.partial(run, **kwargs) if kwargs else run
        self._frames = frames
        self._reads = _keys(op, "reads")
        self._writes = _keys(op, "writes")
        self._always = cadence.always
        self.unchecked = bool(self._reads or self._writes) and bool(point.arguments)

    def build(self) -> Callable[..., Any]:
        """Return the callable that dispatch runs."""
        if self._always and not self.unchecked:
            return self._run
        return self._careful_call

    def _careful_call(self, *args: Any) -> Any:
        if not self._always and not self.cadence.due(self._frames()):
            return None
        if not self.unchecked:
            return self._run(*args)
        self._check(args[0], self._reads, "reads", "holds")
        result = self._run(*args)
        after = result if is_tensor_collection(result) else args[0]
        self._check(after, self._writes, "declares to write", "held afterwards")
        self.unchecked = False
        return result

    def _check(self, data: Any, keys: tuple[Any, ...], verb: str, held: str) -> None:
        present = _present_keys(data)
        for key in keys:
            if key not in present:
                raise MissingKey(
                    f"hook {self.name!r} at {self.point.name!r} {verb} the key {key!r}"
                    f"{did_you_mean(str(key), map(str, present))}: "
                    f"{self.point.arguments[0]} {held} {', '.join(map(str, present))}."
                )


def check_signature(
    point: HookPoint, op: Callable[..., Any], name: str, kwargs: dict[str, Any]
) -> None:
    """Check that an operation can be called as the point calls it.

    Raises:
        InvalidType: if it cannot.
    """
    if not callable(op):
        raise InvalidType(
            f"{name!r} at {point.name!r} is a {type(op).__name__}: expected something that can be "
            f"called as {point.call}."
        )
    try:
        signature = inspect.signature(op)
    except ValueError:  # some builtins have none
        return
    try:
        signature.bind(*point.arguments, **kwargs)
    except TypeError as error:
        raise InvalidType(
            f"hook {name!r} has the signature {signature}, but {point.name!r} calls {point.call}"
            f"{f' with {kwargs}' if kwargs else ''}: {error}."
        ) from None


def default_name(op: Callable[..., Any]) -> str:
    """Return the name of an operation that was given none."""
    owner = getattr(op, "__self__", None)
    if owner is not None and not inspect.ismodule(owner):
        return f"{snake_case(type(owner).__name__)}.{getattr(op, '__name__', 'call')}"
    return getattr(op, "__name__", None) or snake_case(type(op).__name__)


def snake_case(name: str) -> str:
    """Return the name of a class as that of a variable: ``LogScalar`` becomes ``log_scalar``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _as_names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _keys(op: Callable[..., Any], attribute: str) -> tuple[Any, ...]:
    keys = getattr(op, attribute, ())
    return tuple(unravel_key(key) for key in keys) if isinstance(keys, tuple | list) else ()


def _present_keys(data: Any) -> list[Any]:
    if isinstance(data, TensorDictBase) or is_tensor_collection(data):
        return list(data.keys(include_nested=True))
    return []
