import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch

pytest.importorskip("jax")

import jax

from benchmarks.peers import cleanrl_ppo, jax_ppo
from benchmarks.peers.jax_cart_pole import Carts, begin, step
from benchmarks.works.ppo_cartpole import CONFIG


def test_a_cart_moves_as_gymnasiums():
    env = gym.make("CartPole-v1").unwrapped
    observation, _ = env.reset(seed=3)
    carts = Carts(jax.numpy.asarray(observation)[None], jax.numpy.zeros(1, int))
    for index in range(15):
        action = index // 2 % 2
        observation, *_ = env.step(action)
        carts, reward, done = step(carts, jax.numpy.array([action]), jax.random.key(0))
        np.testing.assert_allclose(carts.physics[0], observation, atol=1e-5)
        assert (float(reward[0]), bool(done[0])) == (1.0, False)


@pytest.mark.parametrize(
    ("physics", "steps", "ends"),
    [
        ([0.0, 0.0, 0.0, 0.0], 498, False),
        ([0.0, 0.0, 0.0, 0.0], 499, True),
        ([2.39, 1.0, 0.0, 0.0], 0, True),
        ([0.0, 0.0, 0.2, 1.0], 0, True),
        ([0.0, 0.0, 0.2, 0.0], 0, False),
    ],
)
def test_an_episode_ends_by_a_fall_or_the_time_limit_and_begins_again(physics, steps, ends):
    carts = Carts(jax.numpy.array([physics]), jax.numpy.array([steps]))
    after, _, done = step(carts, jax.numpy.array([1]), jax.random.key(0))
    assert bool(done[0]) is ends
    assert int(after.steps[0]) == (0 if ends else steps + 1)
    if ends:
        fresh = begin(jax.random.key(0), 1)
        np.testing.assert_array_equal(after.physics, fresh.physics)


def test_advantages_are_those_of_the_other_script():
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(2, 5, 3)).astype(np.float32)
    done = (rng.random((5, 3)) < 0.3).astype(np.float32)
    last = rng.normal(size=3).astype(np.float32)
    found = jax_ppo.estimate_advantages(reward, value, done, last, 0.9, 0.8)
    # There a flag says that an episode begins with an observation, here that it ends with a step.
    begins = torch.from_numpy(np.concatenate([np.zeros((1, 3), np.float32), done[:-1]]))
    expected = cleanrl_ppo.estimate_advantages(
        *map(torch.from_numpy, (reward, value)),
        begins,
        torch.from_numpy(last)[None],
        torch.from_numpy(done[-1]),
        0.9,
        0.8,
    )
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_adam_steps_as_torchs():
    config = dataclasses.replace(CONFIG, max_grad_norm=0.5)
    learner = jax_ppo.initial(dataclasses.replace(config, num_envs=2))
    before = learner.parameters
    weights = [torch.tensor(np.asarray(leaf)).requires_grad_() for leaf in jax.tree.leaves(before)]
    optimizer = torch.optim.Adam(weights, lr=0.01, eps=config.adam_eps)
    for scale in (1.0, -3.0, 0.001):
        gradients = jax.tree.map(lambda leaf, scale=scale: scale * (leaf + 0.1), before)
        learner = jax_ppo._adam(config, learner, gradients, 0.01)
        for weight, gradient in zip(weights, jax.tree.leaves(gradients), strict=True):
            weight.grad = torch.tensor(np.asarray(gradient))
        torch.nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
        optimizer.step()
    for found, weight in zip(jax.tree.leaves(learner.parameters), weights, strict=True):
        np.testing.assert_allclose(found, weight.detach().numpy(), atol=1e-5)
