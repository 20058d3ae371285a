"""The loss against torchrl's on shared weights, values and gradients."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule as ProbModule
from tensordict.nn import ProbabilisticTensorDictSequential as ProbSequential
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torchrl.modules import IndependentNormal
from torchrl.objectives import ClipPPOLoss as TorchRLClipPPOLoss

from hookrl.models import ActorCritic
from hookrl.objectives import ClipPPOLoss

OBSERVATION = spaces.Box(-1, 1, (3,))
DISCRETE, CONTINUOUS = spaces.Discrete(4), spaces.Box(-1, 1, (2,))
LOSSES = ("loss_objective", "loss_critic", "loss_entropy")
B = 32


def actor_critic(action_space: spaces.Space[Any]) -> ActorCritic:
    network = ActorCritic.from_spaces(
        OBSERVATION, action_space, hidden_sizes=(8,), log_std_init=-0.3
    )
    # The usual small policy head would leave ratios and gradients too small to tell apart.
    nn.init.normal_(
        network.get_parameter("policy_net.2.weight"), generator=torch.Generator().manual_seed(1)
    )
    return network


def minibatch(network: ActorCritic, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    discrete = isinstance(network.action_space, spaces.Discrete)
    action = torch.randint(4, (B,), generator=generator) if discrete else draw(B, 2)
    observation = draw(B, 3)
    with torch.no_grad():
        log_prob, _, value = network.evaluate_actions(observation, action)
    return TensorDict(
        {
            "observation": observation,
            "action": action,
            "action_log_prob": log_prob + 0.3 * draw(B),
            "advantage": 1 + 2 * draw(B, 1),
            "value_target": draw(B, 1),
            "state_value": value + 0.3 * draw(B, 1),
        },
        [B],
    )


class Normal(nn.Module):
    """The Gaussian policy as torchrl wants it: mean and scale from one module."""

    def __init__(self, network: ActorCritic) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.network.policy_params(observation)
        std = self.network.distribution.get_parameter("log_std").exp()
        return mean, std.expand_as(mean)


def torchrl_loss(network: ActorCritic, **options: Any) -> TorchRLClipPPOLoss:
    observation = ["observation"]
    if isinstance(network.action_space, spaces.Discrete):
        net = TensorDictModule(network.policy_net, observation, ["logits"])
        distribution, names = torch.distributions.Categorical, ["logits"]
    else:
        net = TensorDictModule(Normal(network), observation, ["loc", "scale"])
        distribution, names = IndependentNormal, ["loc", "scale"]
    head = ProbModule(names, ["action"], distribution_class=distribution, return_log_prob=True)
    critic = TensorDictModule(network.value_net, observation, ["state_value"])
    return TorchRLClipPPOLoss(ProbSequential(net, head), critic, functional=False, **options)


def gradients(losses: TensorDict, network: ActorCritic) -> list[Tensor]:
    total = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
    return list(torch.autograd.grad(total, list(network.parameters())))


@pytest.mark.parametrize("action_space", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
@pytest.mark.parametrize(
    ("loss_critic_type", "normalize_advantage", "clip_value"),
    list(itertools.product(["l2", "smooth_l1", "l1"], [True, False], [None, 0.1])),
)
@pytest.mark.filterwarnings("ignore")
def test_values_and_gradients_equal_torchrl(
    action_space: spaces.Space[Any],
    loss_critic_type: str,
    normalize_advantage: bool,
    clip_value: float | None,
) -> None:
    network = actor_critic(action_space)
    options: dict[str, Any] = {
        "clip_epsilon": 0.15,
        "entropy_coeff": 0.03,
        "critic_coeff": 0.7,
        "loss_critic_type": loss_critic_type,
        "normalize_advantage": normalize_advantage,
        "clip_value": clip_value,
    }
    batch = minibatch(network)
    theirs = torchrl_loss(network, **options)
    theirs.set_keys(sample_log_prob="action_log_prob")
    expected = theirs(batch.clone())
    got = ClipPPOLoss(network, **options)(batch)
    shared = [*LOSSES, "entropy", "clip_fraction"]
    shared += [] if clip_value is None else ["value_clip_fraction"]
    for key in shared:
        torch.testing.assert_close(got[key], expected[key], rtol=1e-5, atol=1e-6, msg=key)
    assert 0 < got["clip_fraction"] < 1
    for ours, other in zip(gradients(got, network), gradients(expected, network), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-6)


def test_result_is_scalar_and_only_losses_carry_gradients() -> None:
    network = actor_critic(DISCRETE)
    loss = ClipPPOLoss(network, clip_value=0.2)
    result = loss(minibatch(network))
    assert set(result.keys()) == set(loss.out_keys)
    assert result.batch_size == torch.Size([])
    assert {key for key, value in result.items() if value.requires_grad} == set(LOSSES)
    assert all(value.shape == () for value in result.values())


def test_minibatch_is_left_as_it_was() -> None:
    network = actor_critic(DISCRETE)
    batch = minibatch(network)
    before = batch.clone()
    ClipPPOLoss(network)(batch)
    assert (batch == before).all()
    assert set(batch.keys()) == set(before.keys())


@pytest.mark.parametrize("clip_value", [None, 0.2])
def test_in_keys_are_exactly_what_is_needed(clip_value: float | None) -> None:
    network = actor_critic(CONTINUOUS)
    loss = ClipPPOLoss(network, clip_value=clip_value)
    batch = minibatch(network)
    loss(batch.select(*loss.in_keys))
    for key in loss.in_keys:
        with pytest.raises(KeyError, match=f"ClipPPOLoss reads '{key}'"):
            loss(batch.select(*loss.in_keys).exclude(key))


def test_dict_spaces_are_read_by_nested_keys() -> None:
    observation = spaces.Dict({"a": OBSERVATION, "b": spaces.Discrete(2)})
    network = ActorCritic.from_spaces(observation, spaces.Dict({"x": DISCRETE, "y": CONTINUOUS}))
    loss = ClipPPOLoss(network)
    assert loss.in_keys[:4] == [
        ("observation", "a"),
        ("observation", "b"),
        ("action", "x"),
        ("action", "y"),
    ]
    batch = TensorDict(
        {
            "observation": {"a": torch.randn(B, 3), "b": torch.ones(B, dtype=torch.long)},
            "action": {"x": torch.ones(B, dtype=torch.long), "y": torch.randn(B, 2)},
            "action_log_prob": torch.randn(B),
            "advantage": torch.randn(B, 1),
            "value_target": torch.randn(B, 1),
        },
        [B],
    )
    assert loss(batch)["loss_objective"].isfinite()


def test_loss_is_a_function_of_parameters_given_from_outside() -> None:
    network = actor_critic(CONTINUOUS)
    loss, batch = ClipPPOLoss(network), minibatch(network)
    parameters = {name: p.detach().clone() for name, p in loss.named_parameters()}

    def objective(parameters: dict[str, Tensor]) -> Tensor:
        losses = torch.func.functional_call(loss, parameters, (batch,))
        return torch.stack([losses[key] for key in LOSSES]).sum()

    functional = torch.func.grad(objective)(parameters)
    for ours, plain in zip(functional.values(), gradients(loss(batch), network), strict=True):
        torch.testing.assert_close(ours, plain)


def test_log_probabilities_of_another_shape_are_refused() -> None:
    network = actor_critic(DISCRETE)
    batch = minibatch(network)
    batch["action_log_prob"] = batch["action_log_prob"].unsqueeze(-1)
    with pytest.raises(ValueError, match=r"action_log_prob \(32,\).* got \(32, 1\)"):
        ClipPPOLoss(network)(batch)


def test_unknown_critic_loss_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"got 'smoothl1' .did you mean 'smooth_l1'"):
        ClipPPOLoss(actor_critic(DISCRETE), loss_critic_type="smoothl1")


@pytest.mark.parametrize(
    "bad",
    [
        {"clip_epsilon": 0.0},
        {"clip_epsilon": -0.2},
        {"entropy_coeff": -1.0},
        {"critic_coeff": float("nan")},
        {"clip_value": 0.0},
        {"clip_value": True},
        {"clip_epsilon": "0.2"},
    ],
)
def test_coefficients_out_of_range_are_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"expects {next(iter(bad))} to be a number"):
        ClipPPOLoss(actor_critic(DISCRETE), **bad)


def test_a_network_that_cannot_evaluate_actions_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expects an actor_critic with evaluate_actions\(\)"):
        ClipPPOLoss(nn.Linear(3, 2))
