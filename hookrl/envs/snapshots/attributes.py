"""Environments and wrappers whose state is their attributes.

Classic control, toy text, gymnasium's vectorised environments, tensor-native ones, and nearly all
wrappers: counters, running statistics, frame stacks.
"""

from __future__ import annotations

import functools
import inspect
import logging
import pathlib
import time
import types
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import VectorEnv

from hookrl.envs.snapshots.family import Exact
from hookrl.envs.snapshots.values import Unpackable, is_foreign, pack
from hookrl.errors import InvalidValue
from hookrl.state import same_keys

CONSTANT_NAMES = frozenset(
    {
        *("env", "spec", "metadata", "_metadata", "render_mode"),
        *("_cached_spec", "_saved_kwargs", "_ezpickle_args", "_ezpickle_kwargs"),
        *("closed", "close_called", "isopen"),
    }
)
"""What gymnasium sets when an environment or wrapper is made, and when it is closed."""

CONSTANT_TYPES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.ModuleType,
    type,
    functools.partial,
    type(functools.cache(lambda: None)),
    np.ufunc,
    np.dtype,
    torch.dtype,
    torch.device,
    logging.Logger,
    pathlib.PurePath,
    EnvSpec,
)
_RENDERING = ("pygame", "matplotlib", "glfw")
_SECTIONS = ("attributes", "clocks", "enums", "spaces", "objects")


class Attributes(Exact):
    """Every attribute of a layer, except constants, is its state.

    Plain values, arrays, tensors, random generators and containers of those are stored, the
    generators of spaces too, and the attributes of small helper objects such as running
    statistics. Functions, specifications and rendering are left alone. Anything else is an
    obstacle.

    Args:
        constants: attributes that never change, or do not matter: left alone.
        clocks: attributes that hold a reading of `time.perf_counter`, which means nothing in
            another process: what is stored is how long ago it was.
    """

    def __init__(self, *, constants: Iterable[str] = (), clocks: Iterable[str] = ()) -> None:
        self.constants = CONSTANT_NAMES.union(constants)
        self.clocks = frozenset(clocks)

    def obstacle(self, layer: Any) -> str | None:
        """Name the attribute that cannot be stored, if there is one."""
        if not _is_plain(layer):
            return "it keeps state outside its attributes"
        try:
            pack(Attributes.take(self, layer))
        except Unpackable as error:
            return str(error)
        return None

    def take(self, layer: Any) -> dict[str, Any]:
        """Return the attributes by what they are."""
        return self._take(layer, [*_chain(layer)])

    def _take(self, thing: Any, known: list[Any]) -> dict[str, Any]:
        state: dict[str, Any] = {section: {} for section in _SECTIONS}
        for name, value in attributes_of(thing).items():
            if name in self.constants or _is_constant(value):
                continue
            if name in self.clocks:
                state["clocks"][name] = time.perf_counter() - value
            elif isinstance(value, spaces.Space):
                state["spaces"][name] = dict(space_generators(value))
            elif isinstance(value, Enum):
                state["enums"][name] = [qualified_name(value), value.name]
            elif isinstance(value, gym.Env | VectorEnv):
                if not _belongs(value, known):
                    raise Unpackable(f"attributes.{name} is another environment")
            elif _is_plain(value):
                if any(value is other for other in known):
                    continue
                inside = self._take(value, [*known, value])
                state["objects"][name] = {"class": qualified_name(value), "state": inside}
            elif isinstance(value, np.ndarray) and is_foreign(value) and _is_unwrapped(thing):
                # Not so in wrappers: what they hold on to is what an environment once returned.
                raise Unpackable(f"attributes.{name} is memory of a simulator")
            else:
                state["attributes"][name] = value
        return state

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Check that helper objects and enumerations are there, and are of the same classes."""
        same_keys(state, _SECTIONS, owner=f"the attributes of {type(layer).__name__}")
        wanted = {name: kind for name, (kind, _) in state["enums"].items()}
        wanted |= {name: held["class"] for name, held in state["objects"].items()}
        for name, kind in wanted.items():
            current = getattr(layer, name, None)
            if qualified_name(current) != kind:
                raise InvalidValue(
                    f"the snapshot has a {kind} in {type(layer).__name__}.{name}: expected a "
                    f"{qualified_name(current)}."
                )
        for name, (kind, member) in state["enums"].items():
            if member not in type(getattr(layer, name)).__members__:
                raise InvalidValue(f"the snapshot has a {kind} called {member}, which is unknown.")
        for name, held in state["objects"].items():
            self.check(getattr(layer, name), held["state"])

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Set what is in the state; remove what was not there yet when it was taken."""
        now = time.perf_counter()
        for name, elapsed in state["clocks"].items():
            setattr(layer, name, now - elapsed)
        for name, (_, member) in state["enums"].items():
            setattr(layer, name, type(getattr(layer, name))[member])
        for name, generators in state["spaces"].items():
            if isinstance(getattr(layer, name, None), spaces.Space):
                set_space_generators(getattr(layer, name), generators)
        for name, held in state["objects"].items():
            self.restore(getattr(layer, name), held["state"])
        stored = {name for section in _SECTIONS for name in state[section]}
        for name, value in [*vars(layer).items()]:
            if name not in stored and value is not None and self._is_value(name, value):
                delattr(layer, name)
        for name, value in state["attributes"].items():
            # A window that was not open then may be open now.
            if value is not None or not _is_constant(vars(layer).get(name)):
                setattr(layer, name, value)

    def _is_value(self, name: str, value: Any) -> bool:
        """Whether an attribute would be stored as a value."""
        special = isinstance(value, spaces.Space | Enum | gym.Env | VectorEnv)
        constant = name in self.constants or _is_constant(value)
        return not (special or constant or _is_plain(value))


def attributes_of(thing: Any) -> dict[str, Any]:
    """The attributes of an object, and the spaces of its class, whose generators it may use."""
    names = ("observation_space", "action_space")
    static = {name: inspect.getattr_static(thing, name, None) for name in names}
    shared = {name: value for name, value in static.items() if isinstance(value, spaces.Space)}
    return {**shared, **vars(thing)}


def _is_constant(value: Any) -> bool:
    return isinstance(value, CONSTANT_TYPES) or type(value).__module__.split(".")[0] in _RENDERING


class _Plain:
    """Holds nothing but its ``__dict__``."""


def _is_plain(value: Any) -> bool:
    """Whether the state of an object is its attributes and nothing behind them.

    An instance of a class that is written in Python, without slots and without a base in C, is as
    large as an instance of an empty class.
    """
    return hasattr(value, "__dict__") and type(value).__basicsize__ == _Plain.__basicsize__


def _is_unwrapped(thing: Any) -> bool:
    return not isinstance(thing, gym.Wrapper | gym.vector.VectorWrapper)


def _chain(layer: Any) -> Iterator[Any]:
    """`layer` and everything that it wraps."""
    while True:
        yield layer
        if _is_unwrapped(layer):
            return
        layer = layer.env


def _belongs(env: Any, known: list[Any]) -> bool:
    """Whether an environment is in the chain, or an empty one that gymnasium gave a transform."""
    kind = type(env.unwrapped)
    empty = kind is gym.Env or kind.__module__.startswith("gymnasium.wrappers.")
    return empty or any(env is other for other in known)


def space_generators(space: spaces.Space[Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The generator of a space and of those inside it; None where it has not been asked for."""
    yield path, space._np_random
    for key, child in _children(space):
        yield from space_generators(child, f"{path}/{key}")


def set_space_generators(
    space: spaces.Space[Any], generators: dict[str, Any], path: str = ""
) -> None:
    """Set what `space_generators` gave."""
    if path in generators:
        space._np_random = generators[path]
    for key, child in _children(space):
        set_space_generators(child, generators, f"{path}/{key}")


def _children(space: spaces.Space[Any]) -> Iterable[tuple[Any, spaces.Space[Any]]]:
    inside = getattr(space, "spaces", ())
    return inside.items() if hasattr(inside, "items") else enumerate(inside)


def qualified_name(value: Any) -> str:
    """Module and name of the class of `value`."""
    return f"{type(value).__module__}.{type(value).__qualname__}"
