"""ε-greedy actions: how often chance decides, and that all actors agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from q_networks import network_for, observations

from hookrl.models import EpsilonGreedy, NumpyActor, TorchActor
from hookrl.models.epsilon_greedy import EpsilonGreedyActor

every_actor = pytest.mark.parametrize("kind", [EpsilonGreedyActor, NumpyActor, TorchActor])


def rollout(actor: Any, shape: tuple[int, int], seed: int = 0) -> list[Any]:
    """The actions of each step, on the same observations throughout."""
    seen = observations(shape[1])
    noise = actor.draw_noise(np.random.default_rng(seed), shape)
    return [actor(seen, noise[t]) for t in range(shape[0])]


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("envs", [1, 2, 7])
def test_every_actor_takes_the_same_actions(epsilon: float, envs: int) -> None:
    network = network_for()
    network.epsilon = epsilon
    fast, plain, torchs = (
        rollout(kind(network), (50, envs)) for kind in (EpsilonGreedyActor, NumpyActor, TorchActor)
    )
    np.testing.assert_array_equal(fast, plain)
    np.testing.assert_array_equal(fast, torchs)
    assert all(action.dtype == np.int64 and action.shape == (envs,) for action in fast)


@pytest.mark.parametrize("envs", [1, 3])
def test_tensors_are_answered_by_tensors(envs: int) -> None:
    network = network_for()
    network.epsilon = 0.5
    actor = EpsilonGreedyActor(network)
    noise = actor.draw_noise(np.random.default_rng(0), (40, envs))
    seen = observations(envs)
    for step in noise:
        action = actor(torch.as_tensor(seen), step)
        assert isinstance(action, torch.Tensor)
        np.testing.assert_array_equal(action.numpy(), actor(seen, step))


def test_the_network_is_not_asked_where_everybody_explores(monkeypatch: Any) -> None:
    network = network_for()
    actor = EpsilonGreedyActor(network)
    monkeypatch.setattr(NumpyActor, "__call__", lambda *_: pytest.fail("it was asked"))
    assert {int(action[0]) for action in rollout(actor, (50, 1))} == {5, 6, 7}


def test_noise_is_two_uniform_numbers_per_action() -> None:
    noise = network_for().distribution.draw_noise(np.random.default_rng(0), (100, 50))
    assert noise.shape == (100, 50, 2)
    assert noise.dtype == np.float32
    assert 0 <= noise.min() < 0.01
    assert 0.99 < noise.max() < 1


@every_actor
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_actions_have_their_epsilon_greedy_frequencies(kind: Any, epsilon: float) -> None:
    network = network_for()
    actor = kind(network)
    network.epsilon = epsilon
    observation = np.repeat(observations(1), 60_000, 0)
    greedy = int(actor(observation[:1])[0])
    (noise,) = actor.draw_noise(np.random.default_rng(0), (1, 60_000))
    counts = np.bincount(actor(observation, noise) - 5, minlength=3) / 60_000
    expected = np.full(3, epsilon / 3)
    expected[greedy - 5] += 1 - epsilon
    np.testing.assert_allclose(counts, expected, atol=0.01)


@every_actor
def test_a_rollout_explores_as_epsilon_says_when_it_begins(kind: Any) -> None:
    network = network_for()
    assert network.epsilon == 1.0
    actor = kind(network)
    exploring = rollout(actor, (20, 3))
    network.epsilon = 0.0
    greedy = rollout(actor, (20, 3))
    np.testing.assert_array_equal(greedy, [actor(observations(3))] * 20)
    assert not np.array_equal(greedy, exploring)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 1000, 2**20 + 1])
def test_the_largest_noise_is_still_an_action(n: int) -> None:
    policy = EpsilonGreedy(n)
    largest = np.nextafter(np.float32(1), np.float32(0))
    noise = np.array([[0.0, largest]], np.float32)
    values = np.zeros((1, n), np.float32)
    assert policy.sample(values, noise)[0] == n - 1
    assert policy.sample(torch.as_tensor(values), torch.as_tensor(noise))[0] == n - 1
