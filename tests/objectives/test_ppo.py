"""The terms of PPO against their equations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hookrl.objectives import ppo


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 2**32), st.sampled_from([0.05, 0.2, 0.9]))
@settings(max_examples=100, deadline=None)
def test_surrogate_equals_the_minimum_of_plain_and_clipped_gain(seed: int, eps: float) -> None:
    ratio = random(seed, 64).exp().requires_grad_()
    advantage = random(seed + 1, 64)
    published = torch.minimum(ratio * advantage, ratio.clamp(1 - eps, 1 + eps) * advantage)
    surrogate = ppo.clipped_surrogate(ratio, advantage, eps)
    torch.testing.assert_close(surrogate, published)
    (expected,) = torch.autograd.grad(published.sum(), ratio)
    (got,) = torch.autograd.grad(surrogate.sum(), ratio)
    torch.testing.assert_close(got, expected)


def test_surrogate_stops_pushing_a_good_action_beyond_the_bound() -> None:
    ratio = torch.tensor([1.1, 1.3], requires_grad=True)
    ppo.clipped_surrogate(ratio, torch.ones(2), 0.2).sum().backward()
    assert ratio.grad is not None
    assert ratio.grad.tolist() == [1.0, 0.0]


def test_surrogate_still_pulls_back_a_bad_action_beyond_the_bound() -> None:
    ratio = torch.tensor([1.3, 0.7], requires_grad=True)
    ppo.clipped_surrogate(ratio, -torch.ones(2), 0.2).sum().backward()
    assert ratio.grad is not None
    assert ratio.grad.tolist() == [-1.0, 0.0]


def test_normalized_advantage_has_zero_mean_and_unit_unbiased_std() -> None:
    result = ppo.normalized(3 + 5 * random(0, 100))
    assert result.mean().item() == pytest.approx(0.0, abs=1e-12)
    assert result.std().item() == pytest.approx(1.0)


def test_a_single_advantage_is_left_alone() -> None:
    assert ppo.normalized(torch.tensor([7.0])).item() == 7.0


def test_constant_advantages_become_zero_not_infinite() -> None:
    assert ppo.normalized(torch.full((8,), 2.0)).tolist() == [0.0] * 8


@given(st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_approximate_kl_is_never_negative(seed: int) -> None:
    assert ppo.approximate_kl(1e-3 * random(seed, 16).float()).item() >= 0.0


def test_approximate_kl_tends_to_the_divergence() -> None:
    shift, draws = 0.5, random(0, 200_000)
    log_ratio = 0.5 * (draws.square() - (draws - shift).square())
    assert ppo.approximate_kl(log_ratio).item() == pytest.approx(shift**2 / 2, rel=0.02)


def test_clip_fraction_counts_ratios_outside_the_bounds() -> None:
    ratio = torch.tensor([0.5, 0.9, 1.0, 1.3])
    assert ppo.clip_fraction(ratio, 0.2).item() == 0.5


def test_clipped_value_loss_takes_the_worse_of_the_two() -> None:
    value, old, target = (torch.tensor([[x]]) for x in (1.0, 0.0, 2.0))
    loss, fraction = ppo.clipped_value_loss(value, target, old, 0.2)
    assert loss.item() == pytest.approx((2 - 0.2) ** 2)
    assert fraction.item() == 1.0


def test_explained_variance_of_perfect_values_is_one() -> None:
    assert ppo.explained_variance(random(0, 9), random(0, 9)).item() == 1.0


def test_explained_variance_of_constant_values_is_zero() -> None:
    assert ppo.explained_variance(torch.zeros(9), random(0, 9).float()).item() == pytest.approx(0.0)


def test_explained_variance_equals_its_definition() -> None:
    value, target = random(0, 50), random(1, 50)
    expected = 1 - (target - value).var() / target.var()
    torch.testing.assert_close(ppo.explained_variance(value, target), expected)


@given(st.floats(-1e6, 1e6, width=32), st.integers(1, 40), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_explained_variance_of_constant_targets_is_finite(c: float, n: int, seed: int) -> None:
    target = torch.full((n, 1), c)
    for value in (target, random(seed, n, 1).float(), target + 1):
        assert math.isfinite(ppo.explained_variance(value, target).item())
