"""From what a user has at hand (an id, functions, a ready object) to a vector environment."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv

from hookrl.envs import tensor
from hookrl.envs.snapshots.workers import WorkerEnv
from hookrl.envs.sync import SerialVectorEnv
from hookrl.errors import InvalidType, InvalidValue, UserError, did_you_mean

EnvLike = (
    str | Callable[[], gym.Env[Any, Any]] | Sequence[Callable[[], Any]] | VectorEnv[Any, Any, Any]
)


class MissingDependency(UserError, ImportError):
    """An environment needs a package that is not installed."""


def make_env(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> gym.Env[Any, Any]:
    """Make one environment by its id.

    Gymnasium's passive checker is left out: it looks at every step of a training run for what a
    test should find once.

    Raises:
        InvalidValue: if no environment has that id.
        MissingDependency: if a package that it needs is not installed.
    """
    try:
        return gym.make(env_id, disable_env_checker=True, **(env_kwargs or {}))
    except gym.error.DependencyNotInstalled as error:
        raise MissingDependency(f"the environment {env_id!r} needs a package: {error}.") from None
    except gym.error.UnregisteredEnv:
        raise InvalidValue(
            f"unknown environment {env_id!r}{did_you_mean(env_id, gym.registry)}: expected an id "
            "registered with gymnasium."
        ) from None
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise InvalidValue(f"the environment id {env_id!r} cannot be used: {error}.") from None
    except TypeError as error:
        if not env_kwargs:
            raise
        raise InvalidValue(
            f"the environment {env_id!r} cannot be made with {dict(env_kwargs)}: {error}."
        ) from None


def make_vector_env(
    env: EnvLike,
    num_envs: int = 1,
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    vectorization_mode: str = "sync",
    device: str = "cpu",
) -> VectorEnv[Any, Any, Any]:
    """Return `env` as a vector environment.

    Environments that are stepped one by one or in processes use autoreset mode DISABLED: the
    collector itself resets the ones that ended. The observation of an episode's last step is then
    read before anything resets, so it is the true one even if the environment reuses its
    observation buffer (SAME_STEP would hand out the overwritten buffer), and no frame is spent on a
    reset (as NEXT_STEP would). Other forms reset as they do.

    Args:
        env: an environment id, a function that makes an environment, a list of such functions, or
            a ready `gymnasium.vector.VectorEnv` of any autoreset mode.
        num_envs: copies to make of an id or function.
        env_kwargs: arguments for an environment made from its id.
        vectorization_mode: "sync" steps copies one after the other, and "async" in processes that
            share memory with this one, for environments that take longer than 100 µs or so a step;
            for an id alone, "vector_entry_point" makes gymnasium's own vectorised form, and
            "tensor" one of `hookrl.envs.tensor`.
        device: where tensor environments are.

    Raises:
        InvalidType: if `env` is none of these.
        InvalidValue: if `num_envs` is below 1, the id is unknown, or has no such form.
    """
    if isinstance(env, VectorEnv):
        return env
    if isinstance(env, gym.Env):
        raise InvalidType(
            f"env is an environment object ({env}): expected an id, a function that makes one, or "
            "a vector environment, since each copy needs an object of its own."
        )
    if num_envs < 1:
        raise InvalidValue(f"num_envs={num_envs}: expected at least 1.")
    if vectorization_mode in ("vector_entry_point", "tensor"):
        if not isinstance(env, str):
            raise InvalidType(
                f"env is a {type(env).__name__} with vectorization_mode={vectorization_mode!r}: "
                "expected an environment id."
            )
        if vectorization_mode == "tensor":
            return tensor.make(env, num_envs, device=device, **(env_kwargs or {}))
        return _own_form(env, num_envs, env_kwargs)
    functions: list[Callable[[], Any]]
    if isinstance(env, str):
        functions = [functools.partial(make_env, env, env_kwargs)] * num_envs
    elif callable(env):
        functions = [env] * num_envs
    elif isinstance(env, Sequence) and env and all(callable(function) for function in env):
        functions = [*env]
    else:
        raise InvalidType(
            f"env is a {type(env).__name__}: expected an environment id, a function, a list of "
            "functions, or a gymnasium vector environment."
        )
    if vectorization_mode == "sync":
        return SerialVectorEnv(functions)
    if vectorization_mode == "async":
        workers = [functools.partial(_in_worker, function) for function in functions]
        return AsyncVectorEnv(workers, copy=False, autoreset_mode=AutoresetMode.DISABLED)
    raise InvalidValue(
        f"vectorization_mode={vectorization_mode!r}: expected 'sync', 'async', "
        "'vector_entry_point' or 'tensor'."
    )


def _in_worker(function: Callable[[], Any]) -> gym.Env[Any, Any]:
    """Make an environment that answers for its state from another process."""
    env = function()
    return env if isinstance(env, WorkerEnv) else WorkerEnv(env)


def _own_form(
    env_id: str, num_envs: int, env_kwargs: Mapping[str, Any] | None
) -> VectorEnv[Any, Any, Any]:
    """The environment as its authors vectorised it."""
    spec = make_env(env_id, env_kwargs).spec  # which says what is wrong with id and arguments
    if spec is None or spec.vector_entry_point is None:
        known = sorted(name for name, one in gym.registry.items() if one.vector_entry_point)
        raise InvalidValue(
            f"the environment {env_id!r} has no vectorised form of its own: expected one of "
            f"{', '.join(known)}, or vectorization_mode='sync'."
        )
    return gym.make_vec(
        env_id, num_envs, vectorization_mode="vector_entry_point", **(env_kwargs or {})
    )
