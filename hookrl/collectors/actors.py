"""From what a user calls a policy to something the rollout can call at every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import InteractionType, set_interaction_type

from hookrl.envs.spaces import Leaf, Path, at, leaves, nest
from hookrl.errors import InvalidType
from hookrl.models.acting import Actor


def as_actor(policy: Any, action_space: gym.Space[Any]) -> Actor:
    """Return the fastest actor for `policy`.

    Args:
        policy: a hookrl model (anything with a method ``actor()``), a callable from a TensorDict
            with "observation" to one with "action" (as torchrl's policies are), or None for
            uniformly random actions.
        action_space: of a single environment.

    Raises:
        InvalidType: if `policy` is none of these.
    """
    if policy is None:
        return RandomActor(action_space)
    if hasattr(policy, "actor") and callable(policy.actor):
        actor: Actor = policy.actor()
        return actor
    if callable(policy):
        return TensorDictActor(policy, action_space)
    raise InvalidType(
        f"policy is a {type(policy).__name__}: expected a hookrl model, a callable from TensorDict "
        "to TensorDict, or None for random actions."
    )


class RandomActor:
    """Acts uniformly at random; dimensions without bounds follow a standard normal distribution."""

    def __init__(self, action_space: gym.Space[Any]) -> None:
        self._leaves = leaves(action_space, "action")

    def refresh(self) -> None:
        """Nothing to do: there are no parameters."""

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform or normal numbers, one for each number of an action: ``[*shape, numbers]``."""
        parts = []
        for leaf in self._leaves:
            draw = rng.random if _bounded(leaf.space) else rng.standard_normal
            parts.append(draw((*shape, math.prod(leaf.shape)), dtype=np.float32))
        return np.concatenate(parts, axis=-1)

    def __call__(self, observation: Any, noise: np.ndarray | None = None) -> Any:
        """Turn `noise` into actions."""
        if noise is None:
            raise InvalidType("a random policy has no deterministic actions: expected noise.")
        actions: list[tuple[Path, Any]] = []
        start = 0
        for leaf in self._leaves:
            stop = start + math.prod(leaf.shape)
            part = noise[..., start:stop].reshape(*noise.shape[:-1], *leaf.shape)
            actions.append((leaf.path, _to_action(leaf.space, part)))
            start = stop
        seen = _first(observation)
        if isinstance(seen, torch.Tensor):
            actions = [(path, torch.from_numpy(a).to(seen.device)) for path, a in actions]
        return nest(actions)


class TensorDictActor:
    """Acts through a policy that takes and returns TensorDicts and draws its own randomness."""

    def __init__(self, policy: Callable[[Any], Any], action_space: gym.Space[Any]) -> None:
        self._policy = policy
        self._leaves = leaves(action_space, "action")

    def refresh(self) -> None:
        """Nothing to do: the policy is called as it is."""

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Nothing but the shape: such a policy draws for itself."""
        return np.empty((*shape, 0), dtype=np.float32)

    def __call__(self, observation: Any, noise: np.ndarray | None = None) -> Any:
        """Call the policy, deterministically if `noise` is None."""
        # A copy: what the policy does to its input must not change the batch.
        tensors = _map(observation, lambda value: torch.as_tensor(value).clone())
        size = _first(tensors).shape[:1]
        kind = InteractionType.DETERMINISTIC if noise is None else InteractionType.RANDOM
        with torch.no_grad(), set_interaction_type(kind):
            output = self._policy(TensorDict({"observation": tensors}, batch_size=size))
        if not isinstance(output, TensorDictBase) or "action" not in output:
            raise InvalidType(
                f"policy returned a {type(output).__name__}"
                f"{_keys(output)}: expected a TensorDict with an 'action'."
            )
        as_seen = _like(_first(observation))
        actions = [(leaf, at(output["action"], leaf.path)) for leaf in self._leaves]
        for leaf, action in actions:
            _check_action(leaf, action, size)
        return nest([(leaf.path, as_seen(action)) for leaf, action in actions])


def _check_action(leaf: Leaf, action: Any, size: Any) -> None:
    """Refuse an action that would be executed as something else than what is stored."""
    floating = isinstance(action, torch.Tensor) and action.is_floating_point()
    shape = tuple(getattr(action, "shape", ()))
    if shape != (*size, *leaf.shape) or floating != leaf.dtype.is_floating_point:
        name = "/".join(("action", *leaf.path))
        raise InvalidType(
            f"policy gave {name!r} of shape {shape} and type {getattr(action, 'dtype', None)}: "
            f"expected {(*size, *leaf.shape)} and {leaf.dtype}, since the space is {leaf.space}."
        )


def _bounded(space: gym.Space[Any]) -> bool:
    return not isinstance(space, spaces.Box) or space.is_bounded("both")


def _to_action(space: gym.Space[Any], noise: np.ndarray) -> np.ndarray:
    if isinstance(space, spaces.Discrete):
        return space.start + (noise * space.n).astype(np.int64)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start + (noise * space.nvec).astype(np.int64)
    if isinstance(space, spaces.Box) and _bounded(space):
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        if np.issubdtype(space.dtype, np.integer):
            return (low + np.floor(noise * (high - low + 1))).astype(space.dtype)
        return (low + noise * (high - low)).astype(np.float32)
    return noise


def _like(seen: Any) -> Callable[[torch.Tensor], Any]:
    """Turns an action into the kind of thing that observations are: tensors there, or arrays."""
    if isinstance(seen, torch.Tensor):
        device = seen.device
        return lambda action: action.to(device)
    return lambda action: action.cpu().numpy()


def _keys(output: Any) -> str:
    return f" with {', '.join(map(str, output.keys()))}" if isinstance(output, Mapping) else ""


def _map(value: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _map(child, function) for key, child in value.items()}
    return function(value)


def _first(value: Any) -> Any:
    while isinstance(value, dict):
        value = next(iter(value.values()))
    return value
