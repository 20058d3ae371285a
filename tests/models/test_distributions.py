"""Action distributions against torch.distributions, and their sampling against their density."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict
from torch import distributions as td

from hookrl.models import ActionDistribution, DiagonalGaussian, distribution_for

LEAVES = [
    spaces.Discrete(3),
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 2]]), start=np.array([[0, 1], [-2, 0]])),
    spaces.Box(-1, 1, (2,)),
    spaces.Box(-1, 1, (), dtype=np.float64),
    spaces.Box(-1, 1, (2, 3)),
]
SPACES = [*LEAVES, spaces.Dict({"x": LEAVES[1], "y": spaces.Dict({"z": LEAVES[6]})})]


def randomized(space: spaces.Space[Any], seed: int = 0) -> ActionDistribution:
    """A distribution whose standard deviations, where it has any, differ."""
    distribution = distribution_for(space)
    generator = torch.Generator().manual_seed(seed)
    for parameter in distribution.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return distribution


def params_for(distribution: ActionDistribution, *leading: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*leading, distribution.num_params, generator=generator)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    return [tree]


def test_categorical_equals_torch() -> None:
    distribution = distribution_for(spaces.Discrete(5, start=2))
    params = params_for(distribution, 7)
    index = torch.arange(7) % 5
    log_prob, entropy = distribution.log_prob_entropy(params, index + 2)
    reference = td.Categorical(logits=params)
    torch.testing.assert_close(log_prob, reference.log_prob(index))
    torch.testing.assert_close(entropy, reference.entropy())


@pytest.mark.parametrize("shape", [(3,), (), (2, 2)])
def test_gaussian_equals_torch(shape: tuple[int, ...]) -> None:
    distribution = randomized(spaces.Box(-1, 1, shape))
    assert isinstance(distribution, DiagonalGaussian)
    params = params_for(distribution, 7)
    action = torch.randn(7, *shape, generator=torch.Generator().manual_seed(9))
    log_prob, entropy = distribution.log_prob_entropy(params, action)
    reference = td.Independent(td.Normal(params, distribution.log_std.exp()), 1)
    torch.testing.assert_close(log_prob, reference.log_prob(action.reshape(7, -1)))
    torch.testing.assert_close(entropy, reference.entropy())


def test_multi_categorical_adds_up_independent_variables() -> None:
    distribution = distribution_for(spaces.MultiDiscrete([2, 3], start=[0, 4]))
    params = params_for(distribution, 6)
    action = torch.stack([torch.arange(6) % 2, torch.arange(6) % 3 + 4], -1)
    log_prob, entropy = distribution.log_prob_entropy(params, action)
    first, second = td.Categorical(logits=params[:, :2]), td.Categorical(logits=params[:, 2:])
    expected = first.log_prob(action[:, 0]) + second.log_prob(action[:, 1] - 4)
    torch.testing.assert_close(log_prob, expected)
    torch.testing.assert_close(entropy, first.entropy() + second.entropy())


def test_composite_adds_up_its_heads_and_reads_tensordicts() -> None:
    x, y = spaces.Discrete(3), spaces.Box(-1, 1, (2,))
    whole = distribution_for(spaces.Dict({"x": x, "y": y}), log_std_init=-0.5)
    params = params_for(whole, 4)
    action = {"x": torch.tensor([0, 1, 2, 0]), "y": torch.randn(4, 2)}
    parts = [
        distribution_for(x).log_prob_entropy(params[:, :3], action["x"]),
        distribution_for(y, -0.5).log_prob_entropy(params[:, 3:], action["y"]),
    ]
    for given_as in (action, TensorDict(action, [4])):
        log_prob, entropy = whole.log_prob_entropy(params, given_as)
        torch.testing.assert_close(log_prob, parts[0][0] + parts[1][0])
        torch.testing.assert_close(entropy, parts[0][1] + parts[1][1])


@given(st.sampled_from(SPACES), st.sampled_from([(), (4,), (2, 3)]), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_actions_fit_the_space_and_can_be_judged(
    space: spaces.Space[Any], leading: tuple[int, ...], seed: int
) -> None:
    distribution = randomized(space, seed)
    params = params_for(distribution, *leading, seed=seed)
    noise = distribution.draw_noise(np.random.default_rng(seed), leading)
    assert noise.dtype == np.float32
    assert noise.shape == (*leading, distribution.num_params)
    action = distribution.sample(params, torch.as_tensor(noise))
    for got, wanted in zip(leaves(action), leaves(space.sample()), strict=True):
        assert got.shape == (*leading, *np.shape(wanted))
        integral = np.issubdtype(np.asarray(wanted).dtype, np.integer)
        assert got.dtype == (torch.int64 if integral else torch.float32)
    log_prob, entropy = distribution.log_prob_entropy(params, action)
    assert log_prob.shape == entropy.shape == leading
    assert torch.equal(distribution.log_prob(params, action), log_prob)


@given(st.sampled_from(SPACES), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_arrays_and_tensors_give_the_same_actions(space: spaces.Space[Any], seed: int) -> None:
    distribution = randomized(space, seed)
    params = params_for(distribution, 5, seed=seed)
    noise = distribution.draw_noise(np.random.default_rng(seed), (5,))
    pairs = [
        (distribution.mode(params), distribution.mode(params.numpy())),
        (
            distribution.sample(params, torch.as_tensor(noise)),
            distribution.sample(params.numpy(), noise),
        ),
    ]
    for tensors, arrays in pairs:
        for tensor, array in zip(leaves(tensors), leaves(arrays), strict=True):
            assert isinstance(array, np.ndarray)
            np.testing.assert_allclose(tensor.detach().numpy(), array, rtol=1e-6, atol=1e-6)


def test_mode_is_the_likeliest_action() -> None:
    for space in SPACES:
        distribution = randomized(space)
        params = params_for(distribution, 50)
        noise = distribution.draw_noise(np.random.default_rng(0), (50,))
        likeliest = distribution.log_prob(params, distribution.mode(params))
        other = distribution.log_prob(params, distribution.sample(params, torch.as_tensor(noise)))
        assert (likeliest >= other).all()


def test_categories_are_drawn_with_their_probabilities() -> None:
    distribution = distribution_for(spaces.Discrete(4, start=1))
    probabilities = np.array([0.001, 0.099, 0.3, 0.6])
    draws = 200_000
    noise = distribution.draw_noise(np.random.default_rng(0), (draws,))
    logits = np.log(probabilities).astype(np.float32)
    frequency = np.bincount(distribution.sample(logits, noise) - 1, minlength=4) / draws
    deviation = np.sqrt(probabilities * (1 - probabilities) / draws)
    assert (np.abs(frequency - probabilities) < 4 * deviation).all()


def test_gaussian_draws_have_the_stated_moments() -> None:
    distribution = distribution_for(spaces.Box(-1, 1, (2,)), log_std_init=math.log(0.5))
    noise = distribution.draw_noise(np.random.default_rng(0), (200_000,))
    actions = distribution.sample(np.array([1.0, -2.0], np.float32), noise)
    assert actions.mean(0) == pytest.approx([1.0, -2.0], abs=0.005)
    assert actions.std(0) == pytest.approx([0.5, 0.5], rel=0.01)


def test_mean_log_probability_of_draws_is_minus_the_entropy() -> None:
    for space in SPACES:
        distribution = randomized(space)
        params = params_for(distribution).expand(100_000, -1)
        noise = distribution.draw_noise(np.random.default_rng(0), (100_000,))
        with torch.no_grad():
            action = distribution.sample(params, torch.as_tensor(noise))
            log_prob, entropy = distribution.log_prob_entropy(params, action)
        assert log_prob.mean().item() == pytest.approx(-entropy[0].item(), abs=0.03)


def test_noise_of_a_rollout_can_be_sliced_by_step() -> None:
    distribution = randomized(SPACES[-1])
    noise = distribution.draw_noise(np.random.default_rng(0), (6, 4))
    params = params_for(distribution, 6, 4).numpy()
    whole = leaves(distribution.sample(params, noise))
    step = leaves(distribution.sample(params[2], noise[2]))
    for all_steps, one in zip(whole, step, strict=True):
        np.testing.assert_array_equal(all_steps[2], one)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Tuple([spaces.Discrete(2)]),
        spaces.MultiBinary(3),
        spaces.Text(3),
        spaces.Box(0, 5, (2,), dtype=np.int64),
        spaces.Dict(),
    ],
)
def test_unsupported_space_is_named_with_its_place(space: spaces.Space[Any]) -> None:
    with pytest.raises(TypeError, match=r"action\['arm'\] is .*; supported are Box of floats"):
        distribution_for(spaces.Dict({"arm": space}))
