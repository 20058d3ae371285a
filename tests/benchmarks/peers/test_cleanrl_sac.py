import math
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3")

from benchmarks.peers.cleanrl_sac import Actor, soft_target
from hookrl.configs import SACConfig


class Spaces:
    """What the networks ask of environments: two numbers are seen, actions are in [-2, 4]."""

    single_observation_space = gym.spaces.Box(-1.0, 1.0, (2,))
    single_action_space = gym.spaces.Box(-2.0, 4.0, (1,))


def test_a_target_is_the_reward_and_the_discounted_value_unless_the_episode_ended():
    data = SimpleNamespace(rewards=torch.tensor([[1.0], [2.0]]), dones=torch.tensor([[0.0], [1.0]]))
    found = soft_target(data, torch.tensor([[10.0], [20.0]]), 0.5)
    assert found.tolist() == [1.0 + 0.5 * 10.0, 2.0]


def test_a_log_probability_is_that_of_the_squashed_and_scaled_action():
    torch.manual_seed(0)
    actor = Actor(Spaces(), SACConfig())
    seen = torch.randn(3, 2)
    with torch.no_grad():
        action, log_prob = actor.sample(seen)
        mean, log_std = actor(seen)
    squashed = (action - 1.0) / 3.0
    before = torch.atanh(squashed)
    density = torch.exp(-0.5 * ((before - mean) / log_std.exp()) ** 2) / (
        log_std.exp() * math.sqrt(2 * math.pi)
    )
    expected = torch.log(density / (3.0 * (1 - squashed**2)))
    torch.testing.assert_close(log_prob, expected, rtol=1e-3, atol=1e-3)


def test_deterministic_actions_are_the_squashed_means_within_bounds():
    torch.manual_seed(0)
    actor = Actor(Spaces(), SACConfig())
    seen = np.array([[0.3, -0.2]], dtype=np.float32)
    mean, _ = actor(torch.from_numpy(seen))
    expected = 1.0 + 3.0 * torch.tanh(mean)
    np.testing.assert_allclose(actor.deterministic(seen), expected.detach().numpy(), rtol=1e-6)
