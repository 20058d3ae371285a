"""Each step, and each beginning of an episode, is gymnasium's."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from envs.tensor.twins import (
    NAMES,
    difference,
    distance_to_end,
    gymnasium_steps,
    random_actions,
    scattered_states,
)

from hookrl.envs.tensor import ENVIRONMENTS, State, TensorEnv, make

every_environment = pytest.mark.parametrize("name", NAMES)


def assert_same_equations(name: str, count: int = 1000) -> None:
    """In float64, one step from scattered states is gymnasium's to the last digits."""
    rng = np.random.default_rng(0)
    env = make(name, count)
    states, actions = scattered_states(name, count, rng), random_actions(env, rng)
    if actions.is_floating_point():
        actions = actions.double()
    theirs = gymnasium_steps(name, states, actions)
    physics, reward, terminated = env.dynamics(torch.from_numpy(states), actions)
    off = difference(name, physics.numpy(), theirs.state)
    # Where Acrobot is fastest, its four stages multiply rounding errors ten thousand times.
    assert np.abs(off).max() < 1e-9
    np.testing.assert_allclose(reward, theirs.reward, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(terminated, theirs.terminated)
    np.testing.assert_allclose(env.observe(physics), theirs.observation, rtol=1e-6, atol=1e-6)


@every_environment
def test_the_equations_are_gymnasiums(name: str) -> None:
    assert_same_equations(name, count=4000)


CONSTANTS = [
    (name, constant)
    for name, constants in {
        "Acrobot-v1": "gravity mass length centre inertia time_step height",
        "CartPole-v1": "gravity cart_mass pole_mass half_length force time_step position_limit "
        "angle_limit",
        "MountainCar-v0": "force gravity left_end right_end speed_limit goal",
        "Pendulum-v1": "gravity mass length time_step torque_limit speed_limit",
    }.items()
    for constant in constants.split()
]


@pytest.mark.parametrize(("name", "constant"), CONSTANTS)
def test_that_comparison_notices_any_constant_that_is_a_percent_off(
    name: str, constant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = ENVIRONMENTS[name]
    monkeypatch.setattr(kind, constant, getattr(kind, constant) * 1.01)
    with pytest.raises(AssertionError):
        assert_same_equations(name)


@every_environment
def test_one_step_in_float32_is_gymnasiums_to_float32s_precision(name: str) -> None:
    rng = np.random.default_rng(1)
    env = make(name, 4000)
    env.reset(seed=0)
    states = scattered_states(name, 4000, rng)
    if name == "Acrobot-v1":
        states[:, 2:] /= 3  # about as fast as random actions make it
    env.state = State(torch.from_numpy(states).float(), env.state.steps)
    _, unclear = assert_one_step_is_gymnasiums(env, name, rng)
    assert unclear <= 4


@every_environment
def test_every_step_of_many_episodes_is_gymnasiums(name: str) -> None:
    rng = np.random.default_rng(2)
    env = make(name, 16, max_episode_steps=60)
    env.reset(seed=0)
    counts = [assert_one_step_is_gymnasiums(env, name, rng) for _ in range(250)]
    episodes, unclear = np.sum(counts, axis=0)
    assert episodes >= 16 * 4
    assert unclear <= 4


def assert_one_step_is_gymnasiums(
    env: TensorEnv, name: str, rng: np.random.Generator
) -> tuple[int, int]:
    """Step both; return how many episodes ended, and of how many rounding errors may decide it."""
    actions = random_actions(env, rng)
    theirs = gymnasium_steps(name, env.state.physics, actions)
    _, reward, terminated, truncated, infos = env.step(actions)
    np.testing.assert_allclose(infos["final_obs"], theirs.observation, rtol=1e-5, atol=1e-5)
    clear = distance_to_end(name, theirs.state) > 1e-5
    np.testing.assert_array_equal(terminated.numpy()[clear], theirs.terminated[clear])
    np.testing.assert_allclose(reward[clear], theirs.reward[clear], rtol=1e-5, atol=1e-5)
    return int((terminated | truncated).sum()), int((~clear).sum())


@every_environment
def test_spaces_and_time_limits_are_gymnasiums(name: str) -> None:
    env, theirs = make(name, 3), gym.make(name)
    assert env.single_observation_space == theirs.observation_space
    assert env.single_action_space == theirs.action_space
    assert env.max_episode_steps == gym.spec(name).max_episode_steps
    vector = gym.vector.SyncVectorEnv([lambda: gym.make(name)] * 3)
    assert env.observation_space == vector.observation_space
    assert env.action_space == vector.action_space


@every_environment
def test_episodes_begin_as_gymnasiums_do(name: str) -> None:
    count = 4000
    env, twin = make(name, count), gym.make(name).unwrapped
    env.reset(seed=0)
    ours = env.state.physics.numpy()
    theirs = []
    twin.reset(seed=0)
    for _ in range(count):
        twin.reset()
        theirs.append(np.array(twin.state, dtype=np.float32))
    for one, other in zip(ours.T, np.stack(theirs).T, strict=True):
        assert kolmogorov_smirnov(one, other) < 1.95 * np.sqrt(2 / count)  # 0.1 % by chance
        width = other.max() - other.min()
        np.testing.assert_allclose(
            [one.min(), one.max()], [other.min(), other.max()], atol=0.004 * width
        )
    correlations = np.corrcoef(ours[:, np.ptp(ours, axis=0) > 0], rowvar=False)
    assert np.abs(correlations - np.eye(len(np.atleast_1d(correlations)))).max() < 0.07


@every_environment
def test_no_episode_begins_outside_the_bounds(name: str) -> None:
    bounds = {
        "Acrobot-v1": ([-0.1] * 4, [0.1] * 4),
        "CartPole-v1": ([-0.05] * 4, [0.05] * 4),
        "MountainCar-v0": ([-0.6, 0], [-0.4, 0]),
        "Pendulum-v1": ([-np.pi, -1], [np.pi, 1]),
    }[name]
    env = make(name)
    extremes = torch.tensor([[0.0], [1 - 2**-24]]).expand(2, env.noise_size)
    lowest, highest = env.initial(extremes)
    np.testing.assert_allclose([lowest, highest], bounds, rtol=1e-6)


def kolmogorov_smirnov(one: np.ndarray, other: np.ndarray) -> float:
    """Largest distance between the two empirical distribution functions."""
    points = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(each), points, side="right") for each in (one, other)]
    return float(np.abs(shares[0] / len(one) - shares[1] / len(other)).max())
