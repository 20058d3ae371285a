"""Vector environments interrupted in the middle of their episodes, and what they must do next."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from states import assert_same

from hookrl.checkpoints import decode, encode
from hookrl.envs import snapshots
from hookrl.envs.snapshots.values import pack

MODES = list(AutoresetMode)


def through_a_checkpoint(state: Any) -> Any:
    """What comes out of a checkpoint that `state` was written to."""
    return decode(*encode(state))


class Player:
    """Plays a vector environment with actions that depend on nothing but its seed."""

    def __init__(self, env: VectorEnv[Any, Any, Any], seed: int) -> None:
        self.env = env
        self.rng = np.random.default_rng(seed)

    def begin(self, seed: int = 0) -> None:
        """Reset."""
        self.env.reset(seed=seed)

    def play(self, steps: int) -> list[Any]:
        """Step so many times; return all that a policy may see."""
        return [self._step() for _ in range(steps)]

    def _step(self) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(self._action())
        seen = [observation, reward, terminated, truncated, _final(info)]
        seen = [copy.deepcopy(part) for part in seen]
        done = terminated | truncated
        if self.env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and done.any():
            seen.append(copy.deepcopy(self.env.reset(options={"reset_mask": done})[0]))
        return pack(seen)

    def _action(self) -> Any:
        single, count = self.env.single_action_space, self.env.num_envs
        if isinstance(single, spaces.Discrete):
            action = self.rng.integers(single.n, size=count)
        else:
            action = self.rng.uniform(single.low, single.high, (count, *single.shape))
            action = action.astype(single.dtype)
        speaks_torch = isinstance(getattr(self.env, "_observation", None), torch.Tensor)
        return torch.from_numpy(action) if speaks_torch else action


def _final(info: dict[str, Any]) -> Any:
    final = info.get("final_obs")
    return [*final] if isinstance(final, np.ndarray) and final.dtype == object else final


def assert_goes_on(
    make: Callable[[], VectorEnv[Any, Any, Any]], *, steps: int, after: int = 80, used: int = 0
) -> None:
    """A new vector environment goes on from the snapshot of another as that one does.

    Args:
        make: makes one.
        steps: before the snapshot.
        after: compared steps.
        used: steps that the other one took before.
    """
    one, other = (Player(snapshots.prepare(make()), seed=1) for _ in range(2))
    try:
        one.begin()
        one.play(steps)
        state = through_a_checkpoint(snapshots.take(one.env))
        if used:
            other.begin(seed=5)
            other.play(used)
        snapshots.restore(other.env, state)
        other.rng = copy.deepcopy(one.rng)
        for step, pair in enumerate(zip(one.play(after), other.play(after), strict=True)):
            assert_same(*pair), step
    finally:
        one.env.close()
        other.env.close()


class Gauge(gym.Env[Any, Any]):
    """Draws from its generator, ends at random, and keeps more than a reset clears away.

    Args:
        size: of the observation.
        private: draw from a generator of its own, not from `np_random`.
    """

    action_space = spaces.Discrete(3)

    def __init__(self, size: int = 2, *, private: bool = False) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,))
        self.private = np.random.default_rng(3) if private else None
        self.level = 0.0
        self.episodes = 0
        self.simulator = Simulator()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episodes += 1
        self.simulator = Simulator()
        self.level = float(self._rng.normal())
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.level += float(self._rng.normal()) + int(action) - 1
        self.simulator.advance(self.level)
        ended = bool(self._rng.random() < 0.1)
        return self._observe(), self.level, ended, False, {}

    @property
    def _rng(self) -> Any:
        return self.np_random if self.private is None else self.private

    def _observe(self) -> np.ndarray:
        size = self.observation_space.shape[0]
        seen = self.simulator.total() + np.arange(size) + 1000 * self.episodes
        return seen.astype(np.float32)


class Simulator:
    """Stands for one in C: nothing in it can be read but what it computes."""

    __slots__ = ("_total",)

    def __init__(self) -> None:
        self._total = 0.0

    def advance(self, by: float) -> None:
        self._total = math.sin(self._total + by) * 10

    def total(self) -> float:
        return self._total
