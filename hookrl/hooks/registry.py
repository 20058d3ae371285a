"""Who hangs where: registration, order, checks and dispatch of hooks.

A `PointHooks` holds the hooks of one point. When training starts it turns them into a flat tuple
of callables, `calls`, in their final order; cadences, extra arguments and key checks are wrapped
around an operation only where it has them, so calling a plain hook costs one function call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tensordict import TensorDict, TensorDictBase

from hookrl.errors import InvalidType, InvalidValue, did_you_mean
from hookrl.hooks.cadence import Cadence
from hookrl.hooks.pace import Pace, taken_apart
from hookrl.hooks.points import POINTS, HookPoint, find_point
from hookrl.hooks.registration import Names, Registration, check_signature, default_name


class HookHandle:
    """Returned by registration; `remove` takes the operation off its point again."""

    def __init__(self, hooks: PointHooks, registration: Registration) -> None:
        self._hooks = hooks
        self._registration = registration

    @property
    def name(self) -> str:
        """The name under which the operation is registered."""
        return self._registration.name

    def remove(self) -> None:
        """Take the operation off its point; removing it twice is no error."""
        self._hooks.remove(self._registration)


class PointHooks:
    """The hooks of one point, in order, and the ways to call them all."""

    def __init__(self, point: HookPoint) -> None:
        self.point = point
        self.registrations: list[Registration] = []
        self.calls: tuple[Callable[..., Any], ...] = ()
        self._resolved: list[Registration] = []
        self._removed: set[str] = set()
        self.stale = True
        """Whether something was registered or removed since `resolve`."""

    def add(self, registration: Registration, *, explicit_name: bool) -> HookHandle:
        """Add an operation.

        Raises:
            InvalidValue: if `explicit_name` and the name is taken at this point.
        """
        taken = [r.name for r in self.registrations]
        registration.explicit_name = explicit_name
        if registration.name in taken:
            if explicit_name:
                raise InvalidValue(
                    f"a hook named {registration.name!r} is registered at {self.point.name!r} "
                    "already: expected a name of its own for each."
                )
            registration.name = _free_name(registration.name, taken)
        self.registrations.append(registration)
        self.stale = True
        return HookHandle(self, registration)

    def remove(self, registration: Registration) -> None:
        """Remove an operation if it is there; it is not called again, not even in this batch."""
        if registration in self.registrations:
            self.registrations.remove(registration)
            self._removed.add(registration.name)
            self.stale = True
            kept = [
                (one, call)
                for one, call in zip(self._resolved, self.calls, strict=True)
                if one is not registration
            ]
            self._resolved = [one for one, _ in kept]
            self.calls = tuple(call for _, call in kept)

    def resolve(self) -> None:
        """Fix the order and build `calls`.

        Raises:
            InvalidValue: if names in ``before``/``after`` are unknown or contradict each other.
        """
        ordered = _in_order(self.point, self.registrations, self._removed)
        self.calls = tuple(registration.build() for registration in ordered)
        self._resolved = ordered
        self.stale = False

    def __iter__(self) -> Iterator[Registration]:
        """Iterate over the registrations in the order in which they are called."""
        return iter(_in_order(self.point, self.registrations, self._removed))

    # The three ways to call the hooks of a point differ in what becomes of a returned value.

    # A part of the hooks, by their place in the order, is what a captured step leaves over.

    def replace(self, value: Any, *rest: Any, part: slice | None = None) -> Any:
        """Thread `value` through the hooks; whatever one returns is what the next receives."""
        call = None
        try:
            for call in self.calls if part is None else self.calls[part]:
                result = call(value, *rest)
                if result is not None:
                    # Asking for instances of an abstract class takes ten times as long.
                    if type(result) is not TensorDict and not isinstance(result, TensorDictBase):
                        raise self._wrong_result(result, "a TensorDict")
                    value = result
        except Exception as error:
            self._blame(error, call)
            raise
        return value

    def run(self, part: slice | None = None) -> None:
        """Run the hooks; what they return means nothing."""
        call = None
        try:
            for call in self.calls if part is None else self.calls[part]:
                call()
        except Exception as error:
            self._blame(error, call)
            raise

    def collect(self, data: Any, report: Callable[[Mapping[str, Any]], None]) -> None:
        """Run logging hooks on `data` and `report` every dictionary they return."""
        call = None
        try:
            for call in self.calls:
                metrics = call(data)
                if metrics is not None:
                    if not isinstance(metrics, Mapping):
                        raise self._wrong_result(metrics, "a dictionary of metrics")
                    report(metrics)
        except Exception as error:
            self._blame(error, call)
            raise

    def _wrong_result(self, result: Any, expected: str) -> InvalidType:
        return InvalidType(
            f"a hook at {self.point.name!r} returned a {type(result).__name__}: expected "
            f"{expected}, or None."
        )

    def _blame(self, error: Exception, call: Callable[..., Any] | None) -> None:
        """Add to `error` which hook raised it; its type and text stay what they are."""
        for registration, candidate in zip(self._resolved, self.calls, strict=True):
            if candidate is call or candidate == call:
                error.add_note(f"raised by hook {registration.name!r} at {self.point.name!r}")
                return


class HookRegistry:
    """All hooks of a trainer, point by point.

    Args:
        frames: returns the frames collected so far; cadences in frames read it.
    """

    def __init__(self, frames: Callable[[], int]) -> None:
        self._frames = frames
        self.points = {name: PointHooks(point) for name, point in POINTS.items()}

    def __getitem__(self, point: str) -> PointHooks:
        """Return the hooks of `point`."""
        return self.points[point]

    def __iter__(self) -> Iterator[Registration]:
        """Iterate over all registrations, point by point, in order of registration."""
        for hooks in self.points.values():
            yield from hooks.registrations

    def register(
        self,
        dest: str,
        op: Callable[..., Any],
        *,
        name: str | None,
        priority: int,
        before: Names,
        after: Names,
        every: int,
        every_frames: int | None,
        once: bool,
        kwargs: dict[str, Any],
    ) -> HookHandle:
        """Add `op` to the point `dest`; see `Trainer.register_op`."""
        point = find_point(dest)
        chosen = name or default_name(op)
        check_signature(point, op, chosen, kwargs)
        cadence, (_, pace) = Cadence(every, every_frames, once), taken_apart(op)
        if pace != Pace():
            if every != 1 or every_frames:
                raise InvalidValue(
                    f"hook {chosen!r} was made to run {Cadence(*pace)} and registered at {dest!r} "
                    f"to run {cadence}: expected one of the two."
                )
            cadence = Cadence(*pace, once)
        registration = Registration(
            point,
            op,
            chosen,
            priority=priority,
            before=before,
            after=after,
            cadence=cadence,
            kwargs=kwargs,
            frames=self._frames,
        )
        return self.points[dest].add(registration, explicit_name=name is not None)

    def remove(self, owner: Any) -> None:
        """Remove every operation of `owner`."""
        for hooks in self.points.values():
            for registration in [r for r in hooks.registrations if r.owner is owner]:
                hooks.remove(registration)

    def registrations(self) -> dict[str, list[Registration]]:
        """What is registered at each point, as `restore` takes it."""
        return {name: list(hooks.registrations) for name, hooks in self.points.items()}

    def restore(self, registrations: Mapping[str, list[Registration]]) -> None:
        """Have exactly these registered again; they run from the next batch on."""
        for name, hooks in self.points.items():
            hooks.registrations = list(registrations[name])
            hooks.stale = True

    def resolve(self) -> None:
        """Check names and fix the order at every point."""
        for hooks in self.points.values():
            hooks.resolve()

    @property
    def stale(self) -> bool:
        """Whether something was registered or removed since `resolve`."""
        return any(hooks.stale for hooks in self.points.values())

    def state_dict(self) -> dict[str, Any]:
        """Counters of every registration that has a cadence, keyed by point and name."""
        return {f"{r.point.name}/{r.name}": r.cadence.state_dict() for r in self._cadenced()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counters of the registrations that `state` knows."""
        for registration in self._cadenced():
            key = f"{registration.point.name}/{registration.name}"
            if key in state:
                registration.cadence.load_state_dict(state[key])

    def _cadenced(self) -> Iterator[Registration]:
        return (registration for registration in self if not registration.cadence.always)


def _in_order(
    point: HookPoint, registrations: list[Registration], removed: set[str]
) -> list[Registration]:
    """Order by priority, then by before/after, then by registration.

    A name that was registered once and removed constrains nobody any more.
    """
    by_name = {registration.name: registration for registration in registrations}
    earlier: dict[str, set[str]] = {name: set() for name in by_name}
    for registration in registrations:
        for other in (*registration.before, *registration.after):
            if other not in by_name and other not in removed:
                raise InvalidValue(
                    f"hook {registration.name!r} at {point.name!r} is to run before or after "
                    f"{other!r}{did_you_mean(other, by_name)}, which is not registered there: "
                    f"expected one of {', '.join(by_name)}."
                )
        for first, second in (
            *((registration.name, other) for other in registration.before if other in by_name),
            *((other, registration.name) for other in registration.after if other in by_name),
        ):
            if by_name[first].priority > by_name[second].priority:
                raise InvalidValue(
                    f"at {point.name!r} hook {first!r} is to run before {second!r}, but its "
                    f"priority {by_name[first].priority} puts it later than {second!r} with "
                    f"{by_name[second].priority}: expected the smaller priority to run first."
                )
            earlier[second].add(first)

    waiting = sorted(registrations, key=lambda registration: registration.priority)
    ordered: list[Registration] = []
    while waiting:
        placed = {registration.name for registration in ordered}
        ready = next((r for r in waiting if earlier[r.name] <= placed), None)
        if ready is None:
            names = ", ".join(repr(registration.name) for registration in waiting)
            raise InvalidValue(
                f"the before/after of the hooks {names} at {point.name!r} form a cycle: "
                "expected an order that can be met."
            )
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _free_name(name: str, taken: list[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
