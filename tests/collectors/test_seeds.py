"""One seed decides everything that a collector does."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from counting import batch_leaves
from tensordict import TensorDict

from hookrl.collectors import VectorCollector
from hookrl.models import ActorCritic
from hookrl.state import seed_process

SOURCES: dict[str, Any] = {
    "id": lambda: "CartPole-v1",
    "function": lambda: lambda: gym.make("CartPole-v1"),
    "same-step": lambda: gym.make_vec(
        "CartPole-v1",
        num_envs=6,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
    ),
    "wrapped": lambda: gym.wrappers.vector.RecordEpisodeStatistics(
        gym.make_vec("CartPole-v1", num_envs=6, vectorization_mode="sync")
    ),
    "vectorised": lambda: gym.make_vec(
        "CartPole-v1", num_envs=6, vectorization_mode="vector_entry_point"
    ),
}
every_source = pytest.mark.parametrize("source", SOURCES)


def batches(source: str, seed: int, *, set_later: bool = False) -> TensorDict:
    """Five batches of 20 steps from 6 environments, in a row."""
    spaces = gym.make("CartPole-v1")
    policy = ActorCritic.from_spaces(spaces.observation_space, spaces.action_space)
    collector = VectorCollector(
        SOURCES[source](),
        policy,
        frames_per_batch=120,
        num_envs=6,
        seed=None if set_later else seed,
    )
    if set_later:
        collector.set_seed(seed)
    return torch.cat(list(itertools.islice(collector, 5)), dim=1)


def initial_states(batch: TensorDict) -> list[tuple[float, ...]]:
    """First observation of every episode, those after resets included."""
    ids = batch["collector", "traj_ids"]
    starts = torch.ones_like(ids, dtype=torch.bool)
    starts[:, 1:] = ids[:, 1:] != ids[:, :-1]
    return [tuple(row) for row in batch["observation"][starts].tolist()]


@every_source
def test_the_same_seed_gives_identical_batches(source: str) -> None:
    one, other = batches(source, 3), batches(source, 3)
    for key, leaf in batch_leaves(one).items():
        assert torch.equal(leaf, batch_leaves(other)[key]), key


@every_source
def test_the_process_wide_generators_have_no_say(source: str) -> None:
    seed_process(np.random.SeedSequence(0))
    one = batches(source, 3)
    seed_process(np.random.SeedSequence(1))
    assert torch.equal(one["observation"], batches(source, 3)["observation"])


def test_set_seed_does_what_the_argument_does() -> None:
    one, other = batches("id", 3), batches("id", 3, set_later=True)
    assert torch.equal(one["observation"], other["observation"])


@every_source
def test_seeds_0_and_1_share_no_initial_state(source: str) -> None:
    assert not set(initial_states(batches(source, 0))) & set(initial_states(batches(source, 1)))


@every_source
def test_no_two_episodes_start_alike(source: str) -> None:
    states = initial_states(batches(source, 0))
    assert len(states) > 20
    assert len(set(states)) == len(states)


def test_without_a_seed_two_collectors_differ() -> None:
    one, other = (VectorCollector("CartPole-v1", frames_per_batch=1) for _ in range(2))
    assert not torch.equal(one.collect()["observation"], other.collect()["observation"])


def test_seeding_again_starts_over() -> None:
    collector = VectorCollector("CartPole-v1", frames_per_batch=40, num_envs=2, seed=7)
    first = collector.collect()
    collector.set_seed(7)
    again = collector.collect()
    assert torch.equal(first["next", "observation"], again["next", "observation"])
    ids = [set(b["collector", "traj_ids"].flatten().tolist()) for b in (first, again)]
    assert not ids[0] & ids[1], "episodes begun anew are other episodes"
