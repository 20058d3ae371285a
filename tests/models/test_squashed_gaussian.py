"""The squashed Gaussian: bounds, exact log-probabilities, gradients, actors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch import distributions as D

from hookrl.models import NumpyActor, SquashedGaussian, SquashedGaussianPolicy, TorchActor

BOX = spaces.Box(-1, 1, (4,))
IMAGE = spaces.Box(0, 255, (36, 36, 3), dtype=np.uint8)
ACTIONS = spaces.Box(
    np.array([-1.0, -2.0, 0.5], np.float32), np.array([1.0, 3.0, 0.75], np.float32)
)
MATRIX = spaces.Box(-2, 2, (2, 3))
both_actors = pytest.mark.parametrize("actor_class", [NumpyActor, TorchActor])
both_bounds = pytest.mark.parametrize("clamp", [False, True], ids=["tanh", "clamp"])


def policy_for(action_space: spaces.Space[Any] = ACTIONS, **options: Any) -> SquashedGaussianPolicy:
    policy = SquashedGaussianPolicy.from_spaces(BOX, action_space, hidden_sizes=(16,), **options)
    generator = torch.Generator().manual_seed(1)
    for parameter in policy.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return policy


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reference(space: spaces.Box, mean: Tensor, std: Tensor) -> D.Distribution:
    """The same distribution, assembled from torch's parts."""
    low, high = (torch.as_tensor(bound, dtype=mean.dtype) for bound in (space.low, space.high))
    return D.TransformedDistribution(
        D.Independent(D.Normal(mean, std), 1),
        [D.TanhTransform(cache_size=1), D.AffineTransform((low + high) / 2, (high - low) / 2)],
    )


@both_bounds
def test_log_probability_equals_torchs_transformed_distribution(clamp: bool) -> None:
    policy = policy_for(clamp_log_std=clamp).double()
    observation, noise = draw(64, 4).double(), draw(64, 3, seed=1).double()
    # Encoders give float32, and here digits matter: straight to what follows.
    params = policy.policy_net(observation)
    action, log_prob = policy.distribution.sample_log_prob(params, noise)
    mean, log_std = policy.distribution.split(params)
    expected = reference(ACTIONS, mean, log_std.exp())
    torch.testing.assert_close(log_prob, expected.log_prob(action), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("u", [0.0, 1.0, 8.0, -8.0, 30.0, -100.0, 1e4])
def test_log_probability_is_exact_at_saturation(u: float) -> None:
    # There tanh is 1 in float32, and log(1 - tanh²) is minus infinity; in float64 by hand:
    # log(1 - tanh(u)²) = 2 log 2 - 2|u| - 2 log(1 + exp(-2|u|)).
    space = spaces.Box(-2, 2, (1,))
    distribution = SquashedGaussian(space, (-1.0, 1.0))
    params = torch.tensor([[u, 0.0]], requires_grad=True)  # log_std 0
    action, log_prob = distribution.sample_log_prob(params, torch.tensor([[0.5]]))
    at = abs(u + 0.5)
    correction = 2 * math.log(2) - 2 * at - 2 * math.log1p(math.exp(-2 * at))
    expected = -0.5 * 0.25 - 0.5 * math.log(2 * math.pi) - math.log(2) - correction
    assert log_prob.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    (gradient,) = torch.autograd.grad(log_prob.sum(), params)
    assert gradient.isfinite().all()
    assert gradient[0, 0].item() == pytest.approx(2 * math.tanh(u + 0.5), abs=1e-6)
    assert action.abs().item() <= 2


def test_density_integrates_to_one() -> None:
    space = spaces.Box(-2, 3, (1,))
    distribution = SquashedGaussian(space)
    params = torch.tensor([0.7, 0.4])
    _, log_std = distribution.split(params)
    u = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    noise = (u - 0.7) / log_std.double().exp()
    action, log_prob = distribution.double().sample_log_prob(
        params.double().expand(len(u), 2), noise.unsqueeze(-1)
    )
    assert torch.trapezoid(log_prob.exp(), action[:, 0]).item() == pytest.approx(1, abs=1e-4)


def test_actions_lie_within_the_bounds() -> None:
    policy = policy_for()
    action, _ = policy.sample(10 * draw(1000, 4), 10 * draw(1000, 3, seed=1))
    low, high = torch.as_tensor(ACTIONS.low), torch.as_tensor(ACTIONS.high)
    assert (action >= low).all()
    assert (action <= high).all()
    assert (action.amax(0) > high - 0.05 * (high - low)).all()
    assert (action.amin(0) < low + 0.05 * (high - low)).all()


def test_mode_is_the_squashed_mean() -> None:
    policy = policy_for()
    mean, _ = policy(draw(5, 4))
    center = torch.as_tensor((ACTIONS.low + ACTIONS.high) / 2)
    width = torch.as_tensor((ACTIONS.high - ACTIONS.low) / 2)
    torch.testing.assert_close(policy.mode(draw(5, 4)), center + width * mean.tanh())


def test_sampling_is_reparameterised() -> None:
    # The derivative of an action in the mean is that of the squashing, by finite differences.
    distribution = SquashedGaussian(spaces.Box(-2, 2, (1,))).double()
    noise = torch.tensor([[0.3]], dtype=torch.float64)
    params = torch.tensor([[0.2, -0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: distribution.sample_log_prob(p, noise), [params])


def test_default_range_of_log_std_is_cleanrls() -> None:
    raw = draw(8, 6)
    _, log_std = SquashedGaussian(ACTIONS).split(raw)
    torch.testing.assert_close(log_std, -5 + 0.5 * (2 + 5) * (raw[:, 3:].tanh() + 1))


def test_log_std_may_be_clamped_instead() -> None:
    raw = 30 * draw(8, 6)
    _, log_std = SquashedGaussian(ACTIONS, (-20, 2), clamp_log_std=True).split(raw)
    torch.testing.assert_close(log_std, raw[:, 3:].clamp(-20, 2))


def test_actions_have_the_shape_of_the_space() -> None:
    policy = policy_for(MATRIX)
    action, log_prob = policy.sample(draw(5, 4), draw(5, 6))
    assert policy.noise_size == 6
    assert action.shape == policy.mode(draw(5, 4)).shape == (5, 2, 3)
    assert log_prob.shape == (5,)


@both_actors
@both_bounds
@pytest.mark.parametrize("action_space", [ACTIONS, MATRIX], ids=["vector", "matrix"])
def test_actors_agree_with_the_policy(
    actor_class: Any, clamp: bool, action_space: spaces.Box
) -> None:
    policy = policy_for(action_space, clamp_log_std=clamp)
    actor = actor_class(policy)
    noise = actor.draw_noise(np.random.default_rng(0), (16,))
    observation = draw(16, 4)
    with torch.no_grad():
        sampled, _ = policy.sample(observation, torch.as_tensor(noise))
        mode = policy.mode(observation)
    for wanted, given in ((sampled, noise), (mode, None)):
        action = actor(observation.numpy(), given)
        assert action.dtype == np.float32
        np.testing.assert_allclose(action, wanted.numpy(), rtol=1e-5, atol=1e-6)
        tensor = actor(observation, None if given is None else torch.as_tensor(given))
        np.testing.assert_array_equal(tensor.numpy(), action)


def test_flat_perceptrons_on_the_cpu_act_in_numpy() -> None:
    assert isinstance(policy_for().actor(), NumpyActor)


def test_images_act_in_torch() -> None:
    policy = SquashedGaussianPolicy.from_spaces(IMAGE, ACTIONS, hidden_sizes=(8,))
    assert isinstance(policy.actor(), TorchActor)
    assert policy.actor()(np.zeros((2, 36, 36, 3), np.uint8)).shape == (2, 3)


def test_noise_is_standard_normal() -> None:
    noise = policy_for().actor().draw_noise(np.random.default_rng(0), (100, 50))
    assert noise.shape == (100, 50, 3)
    assert noise.dtype == np.float32
    assert noise.std() == pytest.approx(1, abs=0.02)


def test_neither_building_nor_sampling_touches_the_global_generator() -> None:
    before = torch.get_rng_state()
    policy = SquashedGaussianPolicy.from_spaces(BOX, ACTIONS)
    policy.sample(draw(5, 4), draw(5, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_bounds_are_no_state_but_move_along() -> None:
    policy = policy_for()
    assert not any("center" in name or "width" in name for name in policy.state_dict())
    assert policy.double().distribution.mode(torch.zeros(1, 6).double()).dtype == torch.float64


@pytest.mark.parametrize(
    "space", [spaces.Discrete(3), spaces.Box(0, 3, (2,), np.int32)], ids=["discrete", "integers"]
)
def test_actions_other_than_floats_are_refused(space: spaces.Space[Any]) -> None:
    with pytest.raises(TypeError, match=r"expects a Box of floats as the action space, got .*\.$"):
        SquashedGaussianPolicy.from_spaces(BOX, space)


@pytest.mark.parametrize(
    "space",
    [spaces.Box(-np.inf, np.inf, (2,)), spaces.Box(0, np.inf, (2,)), spaces.Box(1, 1, (2,))],
    ids=["unbounded", "half-bounded", "empty"],
)
def test_bounds_that_leave_nothing_to_squash_into_are_refused(space: spaces.Box) -> None:
    with pytest.raises(ValueError, match=r"expects finite bounds of actions, low below high"):
        SquashedGaussianPolicy.from_spaces(BOX, space)


def test_an_empty_range_of_log_std_is_refused() -> None:
    with pytest.raises(ValueError, match=r"log_std_range as \(low, high\), got \(2, -5\)"):
        SquashedGaussianPolicy.from_spaces(BOX, ACTIONS, log_std_range=(2, -5))
