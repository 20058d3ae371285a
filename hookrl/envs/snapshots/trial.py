"""Whether an environment's snapshots keep what they promise, as a check that anyone can run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym

from hookrl.checkpoints.codec import decode, encode
from hookrl.envs.snapshots.chain import prepare, restore, snapshot_kind, take
from hookrl.envs.snapshots.family import Kind
from hookrl.envs.snapshots.values import pack, same
from hookrl.errors import UserError


class SnapshotCheckError(UserError, AssertionError):
    """An environment does not go on from its snapshot as it did before."""


def check_environment(
    make: Callable[[], gym.Env[Any, Any]], *, steps: int = 30, after: int = 200, seed: int = 0
) -> Kind:
    """Interrupt an environment twice, and compare what was interrupted with what goes on.

    An environment plays `steps` random steps. Its snapshot, written as a checkpoint writes it, goes
    into a new object. Both play on for `after` steps, through the ends of episodes: observations,
    rewards and flags must be equal bit for bit. Then the same again from the new object.

    Args:
        make: makes a new environment.
        steps: before each interruption.
        after: compared steps.
        seed: for the first reset and the actions.

    Returns:
        The kind of the environment.

    Raises:
        SnapshotCheckError: at the first difference.
        InvalidType, ReplayDiffers: if there is no snapshot, or its replay goes another way.
    """
    env = prepare(make())
    actions = copy.deepcopy(env.action_space)
    actions.seed(seed)
    env.reset(seed=seed)
    over = False
    for _ in range(2):
        for _ in range(steps):
            over = _over(_go_on(env, over, actions.sample()))
        state = decode(*encode(take(env)))
        resumed = prepare(make())
        restore(resumed, state)
        for step in range(after):
            action = actions.sample()
            one, other = (_go_on(each, over, action) for each in (env, resumed))
            if not same(pack(one), pack(other)):
                raise SnapshotCheckError(
                    f"step {step + 1} after the snapshot of {env} gave {other}: expected {one}, "
                    "as where it was taken."
                )
            over = _over(one)
        env = resumed
    return snapshot_kind(env)


def _go_on(env: Any, over: bool, action: Any) -> list[Any]:
    """Step, after a reset if the episode is over; return everything that the policy may see."""
    shown = [copy.deepcopy(env.reset()[0])] if over else []
    observation, reward, terminated, truncated, _ = env.step(action)
    return [*shown, copy.deepcopy(observation), reward, bool(terminated), bool(truncated)]


def _over(outcome: list[Any]) -> bool:
    return outcome[-1] or outcome[-2]
