"""An environment with its wrappers: what can be done for it, its snapshot, and back again.

Each layer is stored by its own family. If one of them has to be replayed then all are, by a
`Recorder` around the outermost: wrappers may draw from the environment's generator between two
steps, so its episode cannot be told apart from theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv, VectorWrapper

from hookrl.envs.snapshots.attributes import qualified_name
from hookrl.envs.snapshots.family import Declaration, Exact, Impossible, Kind, Replayed, weakest
from hookrl.envs.snapshots.recorder import Recorder
from hookrl.envs.snapshots.registry import family_of
from hookrl.envs.snapshots.values import Unpackable, pack, unpack
from hookrl.errors import InvalidType, InvalidValue
from hookrl.state import same_keys

_FIELDS = ("classes", "spaces", "num_envs", "autoreset", "layers")


def snapshot_kind(env: Any) -> Kind:
    """Return what can be done for an environment or vector environment once it is prepared."""
    return declare(env).kind


def declare(env: Any) -> Declaration:
    """Return the kind of an environment with its wrappers, and why it is no better."""
    return weakest([_declare(layer) for layer in _layers(env)])


def prepare(env: Any) -> Any:
    """Put a `Recorder` around what can only be replayed; to be done before the first reset.

    Returns:
        `env` itself, or the recorder around it. Those inside a vector environment are put in place.
    """
    layers = [(layer, family_of(layer)) for layer in _layers(env)]
    for layer, family in layers:
        if isinstance(family, Exact):
            family.prepare(layer)
    is_single = isinstance(env, gym.Env) and not isinstance(env, Recorder)
    return Recorder(env, layers) if is_single and declare(env).kind == "replayed" else env


def take(env: Any) -> dict[str, Any]:
    """Return the snapshot of an environment or vector environment: tensors and plain values.

    Raises:
        InvalidType: if it is impossible, or has to be replayed and was not prepared.
    """
    layers = _layers(env)
    packed = []
    for layer in layers:
        family = family_of(layer)
        if isinstance(family, Replayed):
            raise InvalidType(
                f"{env} has to be replayed and nothing was recorded: expected prepare(env) before "
                "its first reset."
            )
        try:
            if isinstance(family, Impossible):
                raise Unpackable(family.reason)
            packed.append(pack(family.take(layer)))
        except Unpackable as error:
            raise InvalidType(
                f"{env} cannot be snapshotted ({type(layer).__name__}: {error}): expected a "
                "family for it, or methods snapshot() and restore(state)."
            ) from None
    return {**_heading(env), "layers": packed}


def check(env: Any, state: Mapping[str, Any]) -> None:
    """Check everything about a snapshot that can be checked without changing `env`.

    Raises:
        InvalidValue: if it belongs to another environment, other wrappers or other shapes.
        MissingKey: if it is not what `take` gives.
    """
    _checked(env, state)


def restore(env: Any, state: Mapping[str, Any]) -> None:
    """Bring `env` to where it was when `state` was taken.

    Raises:
        InvalidValue: if the snapshot belongs to another environment; nothing is changed then.
        ReplayDiffers: if an episode was replayed and went another way. `env` is to be reset then.
    """
    for layer, family, layer_state in _checked(env, state):
        family.restore(layer, layer_state)


def _checked(env: Any, state: Mapping[str, Any]) -> list[tuple[Any, Exact, Any]]:
    """The layers with their families and states, from the innermost."""
    same_keys(state, _FIELDS, owner=f"the environment {env}")
    heading = _heading(env)
    for field, expected in heading.items():
        if state[field] != expected:
            raise InvalidValue(
                f"the snapshot belongs to an environment with {field} {state[field]}: expected "
                f"{expected}."
            )
    steps = []
    for layer, packed in zip(_layers(env), state["layers"], strict=True):
        family, layer_state = family_of(layer), unpack(packed)
        if not isinstance(family, Exact):
            raise InvalidType(f"{env} is not what was snapshotted: expected prepare(env) first.")
        family.check(layer, layer_state)
        steps.append((layer, family, layer_state))
    return steps[::-1]


def _heading(env: Any) -> dict[str, Any]:
    """What must be the same for a snapshot to fit."""
    layers = _layers(env)
    if isinstance(layers[-1], Recorder):
        layers += [layer for layer, _ in layers[-1].layers]
    spaces = []
    if isinstance(env, VectorEnv):
        spaces = [env.single_observation_space, env.single_action_space]
    elif isinstance(env, gym.Env):
        spaces = [env.observation_space, env.action_space]
    mode = env.metadata.get("autoreset_mode") if isinstance(env, VectorEnv) else None
    return {
        "classes": [qualified_name(layer) for layer in layers],
        "spaces": [_outline(space) for space in spaces],
        "num_envs": env.num_envs if isinstance(env, VectorEnv) else None,
        "autoreset": None if mode is None else str(mode),
    }


def _outline(space: gym.Space[Any]) -> str:
    """A space without its bounds, which may be long."""
    if isinstance(space, gym.spaces.Box):
        return f"Box({space.shape}, {space.dtype})"
    if isinstance(space, gym.spaces.Dict):
        return f"Dict({', '.join(f'{key}: {_outline(child)}' for key, child in space.items())})"
    return str(space)


def _layers(env: Any) -> list[Any]:
    """`env` and what it wraps, from the outermost; a `Recorder` is the last."""
    layers = [env]
    while isinstance(env, gym.Wrapper | VectorWrapper) and not isinstance(env, Recorder):
        env = env.env
        layers.append(env)
    return layers


def _declare(layer: Any) -> Declaration:
    if isinstance(layer, Recorder):
        return Declaration("replayed")
    return family_of(layer).declare(layer)
