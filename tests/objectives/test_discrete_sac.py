"""The losses for discrete actions against torchrl's on shared weights, and by hand."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential
from tensordict.nn import TensorDictModule as Module
from torch import Tensor, nn
from torchrl.objectives import DiscreteSACLoss as TorchRLDiscreteSACLoss
from torchrl.objectives import ValueEstimators

from hookrl.models import CategoricalPolicy, SquashedGaussianPolicy, TwinCritics
from hookrl.models.twin_critics import BatchedLinear
from hookrl.objectives import DiscreteSACLoss
from hookrl.objectives.td import read_transitions

OBSERVATION = spaces.Box(-1, 1, (3,))
ACTIONS = spaces.Discrete(4)
LOSSES = ("loss_actor", "loss_qvalue", "loss_alpha")
B = 32


def loss_for(action_space: spaces.Discrete = ACTIONS, **options: Any) -> DiscreteSACLoss:
    """A loss whose targets are other networks, as after some training."""
    policy = CategoricalPolicy.from_spaces(OBSERVATION, action_space, hidden_sizes=(8,))
    critics = TwinCritics.from_spaces(OBSERVATION, action_space, hidden_sizes=(8,))
    loss = DiscreteSACLoss(policy, critics, **options)
    generator = torch.Generator().manual_seed(0)
    for part in (policy, critics, loss.target_critics):
        for tensor in part.parameters():
            nn.init.normal_(tensor, std=0.5, generator=generator)
    return loss


def torchrl_loss(ours: DiscreteSACLoss, **options: Any) -> TorchRLDiscreteSACLoss:
    net = Module(copy.deepcopy(ours.policy), ["observation"], ["logits"])
    head = ProbabilisticTensorDictModule(
        ["logits"], ["action"], distribution_class=torch.distributions.Categorical
    )
    critic = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))
    theirs = TorchRLDiscreteSACLoss(
        ProbabilisticTensorDictSequential(net, head),
        Module(critic, ["observation"], ["action_value"]),
        action_space="categorical",
        num_actions=4,
        num_qvalue_nets=2,
        **options,
    )
    theirs.make_value_estimator(ValueEstimators.TD0, gamma=ours.gamma)
    for params, module in (
        (theirs.qvalue_network_params, ours.critics),
        (theirs.target_qvalue_network_params, ours.target_critics),
    ):
        for name, tensor in params.flatten_keys(".").items():
            layer = module.get_submodule("net." + name.split(".")[-2])
            assert isinstance(layer, BatchedLinear)
            weight = name.endswith("weight")
            tensor.data.copy_(layer.weight.data.mT if weight else layer.bias.data.squeeze(1))
    return theirs


def their_gradients(theirs: Any, loss: Tensor) -> dict[str, Tensor]:
    """Gradients under our names, critics transposed to our layout."""
    policy = dict(theirs.actor_network_params.flatten_keys(".").items())
    critics = dict(theirs.qvalue_network_params.flatten_keys(".").items())
    inputs = [*policy.values(), *critics.values(), theirs.log_alpha]
    grads = iter(torch.autograd.grad(loss, inputs))
    named = {"policy.policy_net." + ".".join(n.split(".")[-2:]): next(grads) for n in policy}
    for name in critics:
        layer, kind = name.split(".")[-2:]
        grad = next(grads)
        named[f"critics.net.{layer}.{kind}"] = grad.mT if kind == "weight" else grad.unsqueeze(1)
    return named | {"log_alpha": next(grads)}


def total(losses: TensorDict) -> Tensor:
    return torch.stack([losses[key] for key in LOSSES]).sum()


def our_gradients(ours: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    params = dict(ours.named_parameters())
    grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    return {name: g for name, g in zip(params, grads, strict=True) if g is not None}


@pytest.mark.parametrize(
    ("loss_function", "alpha_init", "steps", "weighted"),
    list(itertools.product(["l2", "smooth_l1"], [1.0, 0.3], [None, 3], [False, True])),
)
@pytest.mark.filterwarnings("ignore")
def test_values_and_gradients_equal_torchrl(
    transitions: Any, loss_function: str, alpha_init: float, steps: int | None, weighted: bool
) -> None:
    options: dict[str, Any] = {"alpha_init": alpha_init, "loss_function": loss_function}
    ours = loss_for(**options)
    theirs = torchrl_loss(ours, **options)
    batch = transitions(ACTIONS)
    if steps is not None:
        batch["steps_to_next_obs"] = torch.arange(B).remainder(steps).add(1).unsqueeze(-1)
    scale = 1.0
    if weighted:  # torchrl divides by the sum of weights instead of their number
        batch["priority_weight"] = torch.rand(B, generator=torch.Generator().manual_seed(0)) + 0.1
        scale = 1 / batch["priority_weight"].mean().item()
    their_batch = batch.clone()
    expected, got = theirs(their_batch), ours(batch)
    for key in LOSSES:
        torch.testing.assert_close(got[key] * scale, expected[key], rtol=1e-5, atol=1e-5, msg=key)
    for key in ("alpha", "entropy"):
        torch.testing.assert_close(got[key], expected[key], rtol=1e-5, atol=1e-5, msg=key)
    torch.testing.assert_close(batch["td_error"], their_batch["td_error"], rtol=1e-4, atol=1e-5)
    ours_by_name = our_gradients(ours, total(got) * scale)
    theirs_by_name = their_gradients(theirs, total(expected))
    assert ours_by_name.keys() == theirs_by_name.keys()
    for name, gradient in ours_by_name.items():
        torch.testing.assert_close(gradient, theirs_by_name[name], rtol=1e-4, atol=1e-5, msg=name)


def test_each_loss_reaches_what_it_trains_and_nothing_else(transitions: Any) -> None:
    loss = loss_for()
    result = loss(transitions(ACTIONS))
    reached = {
        key: {name.split(".")[0] for name in our_gradients(loss, result[key])} for key in LOSSES
    }
    assert reached == {
        "loss_actor": {"policy"},
        "loss_qvalue": {"critics"},
        "loss_alpha": {"log_alpha"},
    }


class Constant(nn.Module):
    """The same output for every observation."""

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, observation: Tensor) -> Tensor:
        *leading, n = self.values.shape
        return self.values.unsqueeze(-2).expand(*leading, len(observation), n)


@pytest.mark.parametrize(
    ("ending", "steps", "discount"),
    [(None, 1, 0.5), ("terminated", 1, 0.0), ("truncated", 1, 0.5), (None, 3, 0.125)],
    ids=["running", "terminated", "truncated", "three steps"],
)
def test_losses_by_hand(ending: str | None, steps: int, discount: float) -> None:
    policy = Constant(math.log(0.25), math.log(0.75))
    critics = Constant([2.0, 4.0], [3.0, 1.0])  # the least of both: 2 and 1
    loss = DiscreteSACLoss(policy, critics, gamma=0.5, alpha_init=0.1, target_entropy=0.2)
    loss.target_critics.values.copy_(torch.tensor([[8.0, 6.0], [7.0, 9.0]]))  # 7 and 6
    batch = TensorDict(
        {
            "observation": torch.zeros(1, 1),
            "action": torch.tensor([1]),
            "steps_to_next_obs": torch.tensor([steps]),
            "next": {
                "observation": torch.zeros(1, 1),
                "reward": torch.tensor([[1.0]]),
                "terminated": torch.tensor([[ending == "terminated"]]),
                "truncated": torch.tensor([[ending == "truncated"]]),
            },
        },
        [1],
    )
    result = loss(batch)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    target = 1 + discount * (0.25 * 7 + 0.75 * 6 + 0.1 * entropy)
    assert result["td_target"].item() == pytest.approx(target)
    assert result["loss_qvalue"].item() == pytest.approx((4 - target) ** 2 + (1 - target) ** 2)
    assert result["loss_actor"].item() == pytest.approx(-0.1 * entropy - (0.25 * 2 + 0.75 * 1))
    assert result["loss_alpha"].item() == pytest.approx(math.log(0.1) * (entropy - 0.2))
    assert result["entropy"].item() == pytest.approx(entropy)
    assert batch["td_error"].tolist() == pytest.approx([max(abs(4 - target), abs(1 - target))])


def test_actions_are_counted_from_the_start_of_the_space(transitions: Any) -> None:
    batch = transitions(ACTIONS)
    expected = loss_for()(batch)["loss_qvalue"]
    batch["action"] += 10
    shifted = loss_for(spaces.Discrete(4, start=10))(batch)["loss_qvalue"]
    torch.testing.assert_close(shifted, expected)


def test_automatic_target_entropy_is_that_of_the_paper() -> None:
    assert loss_for().target_entropy == pytest.approx(0.98 * math.log(4))


def test_nothing_is_drawn(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    before = torch.get_rng_state()
    first = loss(batch)
    assert (loss(batch) == first).all()
    assert torch.equal(torch.get_rng_state(), before)


def test_probabilities_of_zero_leave_no_trace() -> None:
    loss = DiscreteSACLoss(
        Constant(200.0, -200.0), Constant([1.0, 2.0], [1.0, 2.0]), target_entropy=0.1
    )
    batch = TensorDict(
        {
            "observation": torch.zeros(1, 1),
            "action": torch.tensor([0]),
            "next": {
                "observation": torch.zeros(1, 1),
                "reward": torch.ones(1, 1),
                "terminated": torch.zeros(1, 1, dtype=torch.bool),
            },
        },
        [1],
    )
    for gradient in our_gradients(loss, total(loss(batch))).values():
        assert gradient.isfinite().all()


def test_result_holds_what_is_promised(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    result = loss(batch)
    assert set(result.keys()) == set(loss.out_keys)
    assert {key for key, value in result.items() if value.requires_grad} == set(LOSSES)
    assert all(value.shape == () for value in result.values())
    fixed = loss_for(fixed_alpha=True, alpha_init=0.2)
    assert set(fixed(batch).keys()) == set(fixed.out_keys) == set(loss.out_keys) - {"loss_alpha"}


def test_state_round_trips(transitions: Any) -> None:
    loss, other, batch = loss_for(alpha_init=0.3), loss_for(), transitions(ACTIONS)
    other.load_state_dict(loss.state_dict())
    assert (loss(batch) == other(batch)).all()


def test_loss_is_a_function_of_parameters_given_from_outside(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    parameters = {name: p.detach().clone() for name, p in loss.named_parameters()}

    def objective(parameters: dict[str, Tensor]) -> Tensor:
        return total(torch.func.functional_call(loss, parameters, (batch.clone(),)))

    functional = torch.func.grad(objective)(parameters)
    plain = our_gradients(loss, total(loss(batch)))
    for name, gradient in functional.items():
        torch.testing.assert_close(gradient, plain[name])


@pytest.mark.parametrize("target_entropy", ["auto", 0.5])
def test_a_continuous_policy_is_refused_with_the_loss_to_use(target_entropy: Any) -> None:
    policy = SquashedGaussianPolicy.from_spaces(OBSERVATION, OBSERVATION)
    with pytest.raises(TypeError, match="SACLoss is for those of a Box"):
        DiscreteSACLoss(policy, loss_for().critics, target_entropy=target_entropy)


def test_a_single_critic_without_its_axis_is_refused(transitions: Any) -> None:
    policy = loss_for().policy
    with pytest.raises(ValueError, match=r"\[num_critics, 32, n\] .* got \[32, 4\]"):
        DiscreteSACLoss(policy, nn.Linear(3, 4))(transitions(ACTIONS))


def test_terms_are_captured_in_one_graph(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    inputs = read_transitions(batch, "It")
    captured = torch.compile(loss.terms, fullgraph=True, backend="eager")(*inputs)
    for key, value in loss.terms(*inputs).items():
        torch.testing.assert_close(captured[key], value)
