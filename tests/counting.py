"""Environments whose observations say where they come from, so that every cell can be checked.

An observation is (environment, episode, step). A plan lists the episodes of an environment as pairs
of length and ending; when it is through, it starts over. `story` tells independently of any
collector what a batch must hold, and `assert_tells` compares.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from tensordict import TensorDict, TensorDictBase

TERMINATED, TRUNCATED, BOTH = "terminated", "truncated", "both"
Plan = Sequence[tuple[int, str]]

PLANS: list[Plan] = [
    [(2, TERMINATED), (5, TRUNCATED), (1, TERMINATED)],
    [(3, TRUNCATED), (1, BOTH), (4, TERMINATED)],
    [(7, TERMINATED)],
]
"""Three environments that end at different times, in every way, also twice in a row."""


class Cell(NamedTuple):
    """One step of one environment."""

    observation: tuple[float, float, float]
    next_observation: tuple[float, float, float]
    reward: float
    terminated: bool
    truncated: bool
    is_reset: bool
    trajectory: tuple[int, int]


def story(env_id: int, plan: Plan, *, reset_frames: bool = False) -> Iterator[Cell]:
    """What happens in an environment, step by step; with the steps that only reset it, or not."""
    for episode in itertools.count():
        length, ending = plan[episode % len(plan)]
        for step in range(length):
            last = step == length - 1
            yield Cell(
                observation=(env_id, episode, step),
                next_observation=(env_id, episode, step + 1),
                reward=reward_of(env_id, episode, step + 1),
                terminated=last and ending in (TERMINATED, BOTH),
                truncated=last and ending in (TRUNCATED, BOTH),
                is_reset=False,
                trajectory=(env_id, episode),
            )
        if reset_frames:
            yield Cell(
                observation=(env_id, episode, length),
                next_observation=(env_id, episode + 1, 0),
                reward=0.0,
                terminated=False,
                truncated=False,
                is_reset=True,
                trajectory=(env_id, episode),
            )


def reward_of(env_id: int, episode: int, step: int) -> float:
    """The reward for the step that led there."""
    return 1000.0 * env_id + 10.0 * episode + step


def assert_tells(
    batches: Sequence[TensorDictBase], plans: Sequence[Plan], *, reset_frames: bool = False
) -> None:
    """Every cell of consecutive batches is as the stories of the environments say."""
    batch = torch.cat([*batches], dim=1)
    envs, steps = batch.shape
    told = [
        list(itertools.islice(story(env, plans[env], reset_frames=reset_frames), steps))
        for env in range(envs)
    ]

    def expected(field: str) -> torch.Tensor:
        return torch.tensor([[getattr(cell, field) for cell in row] for row in told])

    def assert_same(name: str, actual: torch.Tensor, wanted: torch.Tensor) -> None:
        wrong = (actual != wanted).nonzero()
        assert actual.shape == wanted.shape, name
        assert not len(wrong), f"{name} at {wrong[0].tolist()}: {actual} instead of {wanted}"

    terminated, truncated = expected("terminated"), expected("truncated")
    assert_same("observation", batch["observation"], expected("observation"))
    assert_same(
        "next observation", batch["next", "observation"], expected("next_observation").float()
    )
    assert_same("reward", batch["next", "reward"].squeeze(-1), expected("reward"))
    assert_same("terminated", batch["next", "terminated"].squeeze(-1), terminated)
    assert_same("truncated", batch["next", "truncated"].squeeze(-1), truncated)
    assert_same("done", batch["next", "done"].squeeze(-1), terminated | truncated)
    resets = expected("is_reset")
    assert_same("root done", batch["done"].squeeze(-1), resets)
    if reset_frames:
        assert_same("mask", batch["collector", "mask"], ~resets)
    else:
        assert ("collector", "mask") not in batch.keys(True)
    ids = [tuple(row) for row in expected("trajectory").flatten(0, 1).tolist()]
    pairs = set(zip(ids, batch["collector", "traj_ids"].flatten().tolist(), strict=True))
    assert len(pairs) == len(set(ids)) == len({number for _, number in pairs}), "traj_ids"


class CountingEnv(gym.Env[Any, Any]):
    """Follows a plan, in one observation array that every step and reset overwrites.

    Args:
        env_id: first number of each observation.
        plan: the episodes.
        reuse_buffer: return the same array every time, not a fresh one.
    """

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, env_id: int, plan: Plan, *, reuse_buffer: bool = True) -> None:
        self.env_id = env_id
        self.plan = plan
        self.reuse_buffer = reuse_buffer
        self.closed = False
        self.episode = -1
        self.steps = 0
        self.actions: list[Any] = []
        self._buffer = np.zeros(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode += 1
        self.steps = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        length, ending = self.plan[self.episode % len(self.plan)]
        assert self.steps < length, "stepped beyond the end of an episode"
        self.actions.append(action)
        self.steps += 1
        last = self.steps == length
        reward = reward_of(self.env_id, self.episode, self.steps)
        terminated, truncated = ending in (TERMINATED, BOTH), ending in (TRUNCATED, BOTH)
        return self._observe(), reward, last and terminated, last and truncated, {}

    def close(self) -> None:
        self.closed = True

    def _observe(self) -> np.ndarray:
        values = (self.env_id, self.episode, self.steps)
        if not self.reuse_buffer:
            return np.array(values, dtype=np.float64)
        self._buffer[:] = values
        return self._buffer


def makers(plans: Sequence[Plan] = PLANS, **options: Any) -> list[Callable[[], CountingEnv]]:
    """Functions that make one counting environment per plan."""
    return [
        lambda env_id=env_id, plan=plan: CountingEnv(env_id, plan, **options)
        for env_id, plan in enumerate(plans)
    ]


def sync_env(mode: AutoresetMode, plans: Sequence[Plan] = PLANS) -> SyncVectorEnv:
    """A ready `SyncVectorEnv` that hands out its own buffer.

    In SAME_STEP it passes the last observation on only after it has reset the environment, so
    there the environments themselves must not reuse theirs.
    """
    reuse_buffer = mode is not AutoresetMode.SAME_STEP
    return SyncVectorEnv(makers(plans, reuse_buffer=reuse_buffer), copy=False, autoreset_mode=mode)


class TorchCountingEnv(VectorEnv[Any, Any, Any]):
    """The same, vectorised in torch; every tensor that it returns is overwritten by the next step.

    Args:
        mode: when it resets.
        plans: one for each environment.
    """

    def __init__(self, mode: AutoresetMode, plans: Sequence[Plan] = PLANS) -> None:
        self.metadata = {"autoreset_mode": mode}
        self.mode = mode
        self.plans = plans
        self.num_envs = len(plans)
        self.single_observation_space = CountingEnv.observation_space
        self.single_action_space = CountingEnv.action_space
        self.closed_extras = False
        self._observation = torch.zeros(self.num_envs, 3, dtype=torch.float64)
        self._reward = torch.zeros(self.num_envs, dtype=torch.float64)
        self._terminated = torch.zeros(self.num_envs, dtype=torch.bool)
        self._truncated = torch.zeros(self.num_envs, dtype=torch.bool)
        self._over = torch.zeros(self.num_envs, dtype=torch.bool)

    def reset(
        self, *, seed: Any = None, options: Any = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        if options is None:
            self._observation[:] = torch.tensor([(env, 0, 0) for env in range(self.num_envs)])
            self._over.zero_()
        else:
            assert self.mode is AutoresetMode.DISABLED
            self._reset(options["reset_mask"])
        return self._observation, {}

    def step(self, action: Any) -> Any:
        assert isinstance(action, torch.Tensor)
        assert action.shape == (self.num_envs,)
        info = {}
        resetting = self._over.clone()
        assert not (self.mode is AutoresetMode.DISABLED and resetting.any()), "was not reset"
        self._observation[:, 2] += 1
        for env, (_, episode, step) in enumerate(self._observation.long().tolist()):
            length, ending = self.plans[env][episode % len(self.plans[env])]
            last = step == length
            self._reward[env] = reward_of(env, episode, step)
            self._terminated[env] = last and ending in (TERMINATED, BOTH)
            self._truncated[env] = last and ending in (TRUNCATED, BOTH)
        self._over = self._terminated | self._truncated
        if self.mode is AutoresetMode.SAME_STEP and self._over.any():
            info["final_obs"] = self._observation.clone()
            self._reset(self._over.clone())
        if self.mode is AutoresetMode.NEXT_STEP:
            self._reset(resetting)
            self._reward[resetting] = 0
        return self._observation, self._reward, self._terminated, self._truncated, info

    def close_extras(self, **kwargs: Any) -> None:
        self.closed_extras = True

    def _reset(self, mask: torch.Tensor) -> None:
        assert isinstance(mask, torch.Tensor)
        self._observation[mask, 1] += 1
        self._observation[mask, 2] = 0
        self._over[mask] = False


ALL_SOURCES: dict[str, Callable[[Sequence[Plan]], Any]] = {
    "functions": makers,
    "ready-disabled": lambda plans: sync_env(AutoresetMode.DISABLED, plans),
    "ready-same-step": lambda plans: sync_env(AutoresetMode.SAME_STEP, plans),
    "ready-next-step": lambda plans: sync_env(AutoresetMode.NEXT_STEP, plans),
    "torch-disabled": lambda plans: TorchCountingEnv(AutoresetMode.DISABLED, plans),
    "torch-same-step": lambda plans: TorchCountingEnv(AutoresetMode.SAME_STEP, plans),
    "torch-next-step": lambda plans: TorchCountingEnv(AutoresetMode.NEXT_STEP, plans),
}
"""Every way to bring counting environments to a collector."""


class SpacesEnv(gym.Env[Any, Any]):
    """Samples its observations, never ends, and checks that actions are what its space holds."""

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any] | None = None
    ) -> None:
        self.observation_space = observation_space
        self.action_space = spaces.Discrete(2) if action_space is None else action_space
        self.observations: list[Any] = []
        self.actions: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.actions.append(action)
        return self._observe(), 0.0, False, False, {}

    def _observe(self) -> Any:
        self.observations.append(self.observation_space.sample())
        return self.observations[-1]


def batch_leaves(batch: TensorDict) -> dict[Any, torch.Tensor]:
    """The tensors of a batch by their keys."""
    return dict(batch.items(include_nested=True, leaves_only=True))
