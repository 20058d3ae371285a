"""Which family an environment or wrapper belongs to, by its class; users add their own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from hookrl.envs.snapshots.attributes import Attributes
from hookrl.envs.snapshots.family import Exact, Family, Impossible, OwnMethods, Replayed
from hookrl.errors import InvalidType

_registered: dict[type, Family] = {}
_UNREGISTERED_ENV = Replayed()
_UNREGISTERED = Attributes()
_NO_ENV = Impossible("it is no environment of gymnasium or torchrl")
_OWN_METHODS = OwnMethods()


def register_family(environment_class: type, family: Family) -> None:
    """Say how environments, wrappers or vector environments of a class are snapshotted.

    It holds for subclasses too, unless they are registered themselves, and comes before what is
    built in; only an environment's own ``snapshot()`` and ``restore(state)`` come before it.

    Args:
        environment_class: of environments, wrappers or vector environments.
        family: `Attributes()` if the attributes are the whole state; an `Exact` of your own;
            `Replayed()`; or `Impossible(reason)`, for an environment that must not be replayed,
            such as a real robot.

    Raises:
        InvalidType: if either is something else.
    """
    if not isinstance(environment_class, type):
        raise InvalidType(
            f"environment_class is {environment_class!r}: expected a class of environments or "
            "wrappers."
        )
    if not isinstance(family, Exact | Replayed | Impossible):
        raise InvalidType(
            f"family is {family!r}: expected an Exact, such as Attributes(), Replayed() or "
            "Impossible(reason)."
        )
    _registered[environment_class] = family


def family_of(layer: Any) -> Family:
    """Return the family of an environment or wrapper, apart from what it wraps.

    Wrappers and vector environments of classes that nobody registered are taken to be their
    attributes; single environments are replayed, which is checked whenever it is done.
    """
    # Not above: vector environments are a family themselves, and have families inside.
    from hookrl.envs.snapshots.builtin import BUILT_IN

    kind = type(layer)
    if callable(getattr(kind, "snapshot", None)) and callable(getattr(kind, "restore", None)):
        return _OWN_METHODS
    for base in kind.__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        found = _registered.get(base) or BUILT_IN.get(name)
        if found is not None:
            return found
    if isinstance(layer, gym.Wrapper | VectorEnv):
        return _UNREGISTERED
    return _UNREGISTERED_ENV if isinstance(layer, gym.Env) else _NO_ENV
