"""Observation and action spaces as flat lists of tensors to store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from hookrl.errors import InvalidType

Path = tuple[str, ...]
"""Keys that lead to a leaf; empty for a space that is a leaf itself."""

SUPPORTED = "Box, Discrete, MultiDiscrete, or a Dict of those"


class Leaf(NamedTuple):
    """One tensor of a space: where it is, and what one environment's entry looks like."""

    path: Path
    shape: tuple[int, ...]
    dtype: torch.dtype
    space: gym.Space[Any]


def leaves(space: gym.Space[Any], role: str) -> list[Leaf]:
    """Return the leaves of `space`, in the space's own order.

    float64 becomes float32, which networks compute in; integers keep their type, so images stay
    uint8; discrete values are int64.

    Args:
        space: Box, Discrete, MultiDiscrete, or a Dict of those.
        role: "observation" or "action", for the error text.

    Raises:
        InvalidType: if the space, or one inside it, is of another kind.
    """
    return list(_leaves(space, role, ()))


def at(value: Any, path: Path) -> Any:
    """Return the entry of nested mappings that `path` leads to."""
    for key in path:
        value = value[key]
    return value


def nest(values: list[tuple[Path, Any]]) -> Any:
    """Inverse of taking leaves apart: nested dictionaries, or the single value itself."""
    if len(values) == 1 and not values[0][0]:
        return values[0][1]
    nested: dict[str, Any] = {}
    for path, value in values:
        target = nested
        for key in path[:-1]:
            target = target.setdefault(key, {})
        target[path[-1]] = value
    return nested


def own_copy(observation: Any, observation_leaves: list[Leaf]) -> Any:
    """Copy a vector observation, floating-point numbers as float32.

    What an environment returns may be its own buffer, which the next step overwrites.
    """
    return nest(
        [(leaf.path, _copy(at(observation, leaf.path), leaf)) for leaf in observation_leaves]
    )


def action_fitter(action_leaves: list[Leaf]) -> Callable[[Any], Any]:
    """Return the function that fits actions into the bounds of their spaces.

    Stored actions stay as the policy drew them, since those are what log-probabilities belong to.
    """
    fits = [(leaf.path, _fitter(leaf.space)) for leaf in action_leaves]
    if len(fits) == 1 and not fits[0][0]:
        return fits[0][1]
    return lambda action: nest([(path, fit(at(action, path))) for path, fit in fits])


def seed_spaces(env: Any, seed: int | list[int]) -> None:
    """Seed the generators of every space of a vector environment and its sub-environments.

    ``reset(seed=…)`` leaves them alone: what an environment samples from its own spaces would
    differ from run to run.

    Args:
        env: a vector environment.
        seed: for all, or one for each sub-environment, of which the vector has the first's.
    """
    parts = getattr(env.unwrapped, "envs", ())
    seeds = [seed] * len(parts) if isinstance(seed, int) else seed
    first = seed if isinstance(seed, int) else seed[0]
    for part, own in ((env, first), *zip(parts, seeds, strict=False)):
        for layer in (part.unwrapped, part):
            for kind in ("observation_space", "action_space"):
                for name in (kind, f"single_{kind}"):
                    if isinstance(space := getattr(layer, name, None), gym.Space):
                        space.seed(own)


def _fitter(space: gym.Space[Any]) -> Callable[[Any], Any]:
    if not isinstance(space, spaces.Box):
        return lambda value: value
    low, high = space.low, space.high

    @functools.cache
    def bounds_on(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(low, device=device), torch.tensor(high, device=device)

    def clip(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.clamp(*bounds_on(value.device))
        return np.minimum(np.maximum(value, low), high)

    return clip


def _copy(value: Any, leaf: Leaf) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(leaf.dtype, copy=True)
    return np.array(value, dtype=np.float32 if leaf.dtype == torch.float32 else None)


def _leaves(space: gym.Space[Any], role: str, path: Path) -> Iterator[Leaf]:
    if isinstance(space, spaces.Dict):
        for key, child in space.spaces.items():
            yield from _leaves(child, role, (*path, key))
    elif isinstance(space, spaces.Discrete):
        yield Leaf(path, (), torch.int64, space)
    elif isinstance(space, spaces.MultiDiscrete):
        yield Leaf(path, tuple(space.shape), torch.int64, space)
    elif isinstance(space, spaces.Box):
        floating = np.issubdtype(space.dtype, np.floating)
        dtype = torch.float32 if floating else torch.from_numpy(np.empty(0, space.dtype)).dtype
        yield Leaf(path, tuple(space.shape), dtype, space)
    else:
        where = f" at {'.'.join(path)!r}" if path else ""
        raise InvalidType(
            f"the {role} space{where} is {space}: expected {SUPPORTED}; wrap the environment so "
            "that it has one."
        )
