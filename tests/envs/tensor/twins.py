"""Gymnasium's environments beside the tensor ones: the same state put into both, one step each."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from hookrl.envs.tensor import ENVIRONMENTS, TensorEnv

NAMES = [*ENVIRONMENTS]

RANGES: dict[str, tuple[list[float], list[float]]] = {
    "Acrobot-v1": (
        [-math.pi, -math.pi, -4 * math.pi, -9 * math.pi],
        [math.pi, math.pi, 4 * math.pi, 9 * math.pi],
    ),
    "CartPole-v1": ([-2.6, -4, -0.25, -4], [2.6, 4, 0.25, 4]),
    "MountainCar-v0": ([-1.2, -0.07], [0.6, 0.07]),
    "Pendulum-v1": ([-10, -8], [10, 8]),
}
"""Physical states of every kind: fast and slow, inside and outside of what ends an episode."""

ANGLES = {"Acrobot-v1": [0, 1], "CartPole-v1": [], "MountainCar-v0": [], "Pendulum-v1": [0]}
"""Numbers of the physical state of which full turns mean nothing."""


class Outcome(NamedTuple):
    """What one step of every environment led to, as arrays."""

    state: np.ndarray
    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray


def scattered_states(name: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """States uniform on `RANGES`, float64 ``[count, numbers]``."""
    low, high = RANGES[name]
    return rng.uniform(low, high, (count, len(low)))


def random_actions(env: TensorEnv, rng: np.random.Generator) -> torch.Tensor:
    """Uniform actions; those of a Box also reach half as far again as its bounds."""
    space = env.single_action_space
    if isinstance(space, spaces.Discrete):
        return torch.from_numpy(rng.integers(space.n, size=env.num_envs))
    high = 1.5 * space.high
    return torch.from_numpy(rng.uniform(-high, high, (env.num_envs, *space.shape))).float()


def gymnasium_steps(name: str, states: Any, actions: torch.Tensor) -> Outcome:
    """Step gymnasium's environment once from each of `states`."""
    twin = gym.make(name).unwrapped
    twin.reset(seed=0)
    rows = []
    for state, action in zip(np.asarray(states, dtype=np.float64), actions.numpy(), strict=True):
        twin.state = state.copy()
        twin.steps_beyond_terminated = None  # CartPole warns about a second step beyond the end
        observation, reward, terminated, _, _ = twin.step(action)
        rows.append((np.array(twin.state, dtype=np.float64), observation, reward, terminated))
    return Outcome(*(np.array(column) for column in zip(*rows, strict=True)))


def distance_to_end(name: str, state: np.ndarray) -> np.ndarray:
    """How far from what decides about the end of the episode; infinite where nothing does."""
    if name == "CartPole-v1":
        beyond = np.abs(state[:, [0, 2]]) - (2.4, math.radians(12))
        return np.abs(beyond).min(axis=1)
    if name == "Acrobot-v1":
        return np.abs(np.cos(state[:, 0]) + np.cos(state[:, 0] + state[:, 1]) + 1)
    if name == "MountainCar-v0":
        short_of_goal = np.abs(state[:, 0] - 0.5)
        beyond = state[:, 0] > 0.5 - 1e-4
        return np.where(beyond, np.minimum(short_of_goal, np.abs(state[:, 1])), short_of_goal)
    return np.full(len(state), np.inf)


def difference(name: str, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Differences of physical states, full turns left out."""
    result = one - other
    turns = result[:, ANGLES[name]]
    result[:, ANGLES[name]] = np.remainder(turns + math.pi, 2 * math.pi) - math.pi
    return result
