"""Evaluation episodes: their returns, their lengths, and that seeds alone decide how they start."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from counting import BOTH, PLANS, TERMINATED, TRUNCATED, CountingEnv, makers, reward_of, sync_env
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from hookrl.collectors import EpisodeResults, evaluation_seeds, run_episodes
from hookrl.envs import make_vector_env
from hookrl.errors import InvalidValue


def idle(observation: Any) -> np.ndarray:
    return np.zeros(len(observation), dtype=np.int64)


def busy(observation: Any) -> np.ndarray:
    return np.ones(len(observation), dtype=np.int64)


class Starts(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps the first observation of every episode, by its seed."""

    def __init__(self, env: gym.Env[Any, Any], starts: dict[Any, list[Any]]) -> None:
        super().__init__(env)
        self.starts = starts

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        observation, info = self.env.reset(seed=seed, options=options)
        self.starts.setdefault(seed, []).append(observation.tolist())
        return observation, info


def starts_of(num_envs: int, act: Any = idle, seeds: Any = (3, 1, 4, 15, 92)) -> dict[Any, Any]:
    starts: dict[Any, list[Any]] = {}
    env = make_vector_env(lambda: Starts(gym.make("CartPole-v1"), starts), num_envs)
    run_episodes(act, env, seeds)
    starts.pop(None, None)
    return {seed: {tuple(first) for first in found} for seed, found in starts.items()}


def test_returns_and_lengths_are_those_of_the_first_episode_of_each_environment() -> None:
    plans = [[(2, TERMINATED), (9, TERMINATED)], [(5, TRUNCATED)], [(1, BOTH)]]
    results = run_episodes(idle, make_vector_env(makers(plans)), [0, 1, 2])
    expected = [
        sum(reward_of(env, 0, step + 1) for step in range(length))
        for env, length in enumerate((2, 5, 1))
    ]
    assert results.lengths.tolist() == [2, 5, 1]
    assert results.returns.tolist() == expected


@settings(deadline=None, max_examples=25)
@given(episodes=st.integers(1, 9), num_envs=st.integers(1, 4))
def test_any_number_of_episodes_can_be_shared_by_any_number_of_environments(
    episodes: int, num_envs: int
) -> None:
    plan = [(length, TERMINATED) for length in (1, 4, 2, 3)]
    env = make_vector_env(lambda: CountingEnv(0, plan), num_envs)
    results = run_episodes(idle, env, range(episodes))
    assert results.returns.shape == results.lengths.shape == (episodes,)
    for total, length in zip(results.returns, results.lengths, strict=True):
        firsts = [total - sum(range(1, length + 1)) - 10 * e * length for e in range(100)]
        assert 0 in firsts, "the return is the sum over exactly one episode"


@pytest.mark.parametrize("num_envs", [2, 3, 5, 8])
def test_initial_states_do_not_depend_on_how_many_play_side_by_side(num_envs: int) -> None:
    assert starts_of(num_envs) == starts_of(1)


def test_initial_states_do_not_depend_on_the_policy() -> None:
    assert starts_of(2, idle) == starts_of(2, busy)


def test_every_seed_starts_from_one_state_of_its_own() -> None:
    starts = starts_of(2)
    assert list(starts) == [3, 1, 4, 15, 92]
    assert all(len(found) == 1 for found in starts.values())
    assert len(set.union(*starts.values())) == 5


@pytest.mark.parametrize("num_envs", [2, 3, 7])
def test_results_come_in_the_order_of_the_seeds_whatever_the_number_of_environments(
    num_envs: int,
) -> None:
    def lean(observation: np.ndarray) -> np.ndarray:
        return (observation[:, 2] > 0).astype(np.int64)

    seeds = evaluation_seeds(7)
    alone = run_episodes(lean, make_vector_env("CartPole-v1", 1), seeds)
    together = run_episodes(lean, make_vector_env("CartPole-v1", num_envs), seeds)
    assert together.lengths.tolist() == alone.lengths.tolist()
    assert together.returns.tolist() == alone.returns.tolist()
    assert len(set(alone.lengths.tolist())) > 1


def test_the_policy_sees_float32_copies_that_the_environment_cannot_change() -> None:
    seen = []

    def act(observation: np.ndarray) -> np.ndarray:
        seen.append(observation)
        return idle(observation)

    run_episodes(act, make_vector_env(makers([[(4, TERMINATED)]])), [0])
    assert [row.tolist() for row in seen] == [[[0, 0, step]] for step in range(4)]
    assert {row.dtype for row in seen} == {np.dtype(np.float32)}


def test_the_policy_sees_what_the_view_makes_of_observations() -> None:
    seen = []

    def act(observation: np.ndarray) -> np.ndarray:
        seen.append(observation[0, 2])
        return idle(observation)

    env = make_vector_env(makers([[(3, TERMINATED)]]))
    run_episodes(act, env, [0], view=lambda raw: raw + 100)
    assert seen == [100, 101, 102]


def test_rewards_behind_an_episodes_end_count_nothing_not_even_nan() -> None:
    class Poisoned(CountingEnv):
        def step(self, action: Any) -> Any:
            observation, reward, *rest = super().step(action)
            return observation, reward if self.episode == 0 else np.nan, *rest

    env = make_vector_env([lambda: Poisoned(0, PLANS[0]), lambda: Poisoned(1, [(9, TERMINATED)])])
    assert np.isfinite(run_episodes(idle, env, [0, 1]).returns).all()


def test_no_seeds_are_an_error() -> None:
    with pytest.raises(InvalidValue, match="an evaluation of 0 episodes"):
        run_episodes(idle, make_vector_env("CartPole-v1"), [])


@pytest.mark.parametrize(
    "env",
    [
        sync_env(AutoresetMode.NEXT_STEP),
        sync_env(AutoresetMode.SAME_STEP),
        gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point"),
    ],
    ids=["next-step", "same-step", "vectorised"],
)
def test_environments_that_reset_by_themselves_are_refused(env: VectorEnv[Any, Any, Any]) -> None:
    with pytest.raises(InvalidValue, match="resets by itself"):
        run_episodes(idle, env, [0])


def test_summaries_are_those_of_the_returns() -> None:
    returns = np.array([8.0, 1, 2, 100, 3, -50, 4, 5])
    results = EpisodeResults(returns, np.ones(8, dtype=np.int64))
    assert results.mean == returns.mean()
    assert results.std == returns.std()
    assert results.interquartile_mean == np.mean([2, 3, 4, 5])


def test_more_evaluation_episodes_begin_with_the_same_ones() -> None:
    assert evaluation_seeds(100)[:10] == evaluation_seeds(10)


def test_evaluation_seeds_are_distinct_and_differ_between_seeds() -> None:
    seeds = [*evaluation_seeds(100, 0), *evaluation_seeds(100, 1)]
    assert len(set(seeds)) == 200
