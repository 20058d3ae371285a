"""The loss against torchrl's on shared weights, and by hand."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDict
from torch import Tensor, nn
from torchrl.modules import QValueActor
from torchrl.objectives import DQNLoss as TorchRLDQNLoss
from torchrl.objectives import ValueEstimators

from hookrl.models import QNetwork, SquashedGaussianPolicy
from hookrl.objectives import DQNLoss
from hookrl.objectives.td import read_transitions

OBSERVATION = spaces.Box(-1, 1, (3,))
ACTIONS = spaces.Discrete(4)


def q_network(seed: int = 0, **options: Any) -> QNetwork:
    network = QNetwork.from_spaces(OBSERVATION, ACTIONS, hidden_sizes=(8,), **options)
    randomize(network, seed)
    return network


def randomize(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for tensor in network.parameters():
        nn.init.normal_(tensor, generator=generator)


def loss_for(network: nn.Module, **options: Any) -> DQNLoss:
    """A loss whose target is another network, as after some training."""
    loss = DQNLoss(network, **options)
    randomize(loss.target_network, 7)
    return loss


def torchrl_loss(ours: DQNLoss, double: bool, loss_function: str) -> TorchRLDQNLoss:
    actor = QValueActor(copy.deepcopy(ours.q_network), action_space="categorical")
    theirs = TorchRLDQNLoss(
        actor,
        action_space="categorical",
        double_dqn=double,
        delay_value=True,
        loss_function=loss_function,
    )
    theirs.make_value_estimator(ValueEstimators.TD0, gamma=ours.gamma)
    network = ours.target_network
    target = dict([*network.named_parameters(), *network.named_buffers()])
    for name, tensor in theirs.target_value_network_params.flatten_keys(".").items():
        tensor.data.copy_(target[name.removeprefix("module.0.module.").removeprefix("module.")])
    return theirs


def their_gradients(theirs: TorchRLDQNLoss, loss: Tensor) -> dict[str, Tensor]:
    params = {
        name: tensor
        for name, tensor in theirs.value_network_params.flatten_keys(".").items()
        if tensor.requires_grad  # ε, for one, is none of the weights
    }
    grads = torch.autograd.grad(loss, list(params.values()))
    return {
        name.removeprefix("module.0.module.").removeprefix("module."): grad
        for name, grad in zip(params, grads, strict=True)
    }


def our_gradients(ours: DQNLoss, loss: Tensor) -> dict[str, Tensor]:
    params = dict(ours.q_network.named_parameters())
    return dict(zip(params, torch.autograd.grad(loss, list(params.values())), strict=True))


def assert_close(
    ours: tuple[Tensor, dict[str, Tensor]], theirs: tuple[Tensor, dict[str, Tensor]]
) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-6)
    assert ours[1].keys() == theirs[1].keys()
    for name, gradient in ours[1].items():
        torch.testing.assert_close(gradient, theirs[1][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("double", "loss_function", "dueling"),
    list(itertools.product([False, True], ["l2", "smooth_l1", "l1"], [False, True])),
)
@pytest.mark.parametrize("steps", [None, 3], ids=["one-step", "n-step"])
@pytest.mark.filterwarnings("ignore")
def test_values_and_gradients_equal_torchrl(
    transitions: Any, double: bool, loss_function: str, dueling: bool, steps: int | None
) -> None:
    ours = loss_for(q_network(dueling=dueling), double=double, loss_function=loss_function)
    theirs = torchrl_loss(ours, double, loss_function)
    batch = transitions(ACTIONS)
    if steps is not None:
        batch["steps_to_next_obs"] = torch.arange(32).remainder(steps).add(1).unsqueeze(-1)
    their_batch = batch.clone()
    expected = theirs(their_batch)["loss"]
    got = ours(batch)["loss_q"]
    assert_close((got, our_gradients(ours, got)), (expected, their_gradients(theirs, expected)))
    torch.testing.assert_close(
        batch["td_error"].square(), their_batch["td_error"].squeeze(-1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.filterwarnings("ignore")
def test_weighted_loss_equals_torchrl_up_to_the_sum_of_weights(transitions: Any) -> None:
    ours = loss_for(q_network())
    theirs = torchrl_loss(ours, double=True, loss_function="l2")
    batch = transitions(ACTIONS)
    weight = torch.rand(32, generator=torch.Generator().manual_seed(0)) + 0.1
    batch["_weight"] = weight
    their_batch = batch.clone().set("priority_weight", weight)
    got = ours(batch)["loss_q"] / weight.mean()
    expected = theirs(their_batch)["loss"]
    assert_close((got, our_gradients(ours, got)), (expected, their_gradients(theirs, expected)))


class Table(nn.Module):
    """Values ``[s]`` of three actions, looked up by an observation that is an index."""

    def __init__(self, *rows: tuple[float, float, float]) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.tensor(rows))

    def forward(self, observation: Tensor) -> Tensor:
        return self.rows[observation]


def one_transition(**next_entries: Any) -> TensorDict:
    entries = {"reward": 1.0, "terminated": False, "truncated": False} | next_entries
    return TensorDict(
        {
            "observation": torch.tensor([0]),
            "action": torch.tensor([1]),
            "next": {name: torch.tensor([[value]]) for name, value in entries.items()}
            | {"observation": torch.tensor([1])},
        },
        [1],
    )


def table_loss(**options: Any) -> DQNLoss:
    """Q(0, 1) = 2; in state 1 the network prefers action 0, which the target values at 5."""
    loss = DQNLoss(Table((0.0, 2.0, 0.0), (9.0, 0.0, 0.0)), gamma=0.5, **options)
    loss.target_network.rows.copy_(torch.tensor([[0.0, 0.0, 0.0], [5.0, 8.0, 0.0]]))
    return loss


@pytest.mark.parametrize(
    ("double", "transition", "target"),
    [
        (False, one_transition(), 1 + 0.5 * 8),
        (True, one_transition(), 1 + 0.5 * 5),
        (True, one_transition(terminated=True), 1),
        (True, one_transition(truncated=True), 1 + 0.5 * 5),
        (True, one_transition().set("steps_to_next_obs", torch.tensor([[3]])), 1 + 0.5**3 * 5),
    ],
    ids=["single", "double", "terminated", "truncated", "three steps"],
)
def test_target_by_hand(double: bool, transition: TensorDict, target: float) -> None:
    transition = transition.clone()
    result = table_loss(double=double)(transition)
    assert result["td_target"].item() == pytest.approx(target)
    assert result["q_value"].item() == pytest.approx(2)
    assert result["loss_q"].item() == pytest.approx((2 - target) ** 2)
    assert transition["td_error"].tolist() == pytest.approx([abs(2 - target)])


def test_weight_multiplies_the_loss_and_not_the_error() -> None:
    transition = one_transition().set("_weight", torch.tensor([0.25]))
    result = table_loss()(transition)
    assert result["loss_q"].item() == pytest.approx(0.25 * 1.5**2)
    assert transition["td_error"].tolist() == pytest.approx([1.5])


def test_actions_are_counted_from_the_start_of_the_space(transitions: Any) -> None:
    shifted = spaces.Discrete(4, start=10)
    loss = loss_for(QNetwork.from_spaces(OBSERVATION, shifted, hidden_sizes=(8,)))
    randomize(loss.q_network, 0)
    plain = loss_for(q_network())
    batch = transitions(ACTIONS)
    expected = plain(batch)["loss_q"]
    batch["action"] += 10
    torch.testing.assert_close(loss(batch)["loss_q"], expected)


def test_result_is_scalar_and_only_the_loss_carries_gradients(transitions: Any) -> None:
    loss = loss_for(q_network())
    batch = transitions(ACTIONS)
    result = loss(batch)
    assert set(result.keys()) == set(loss.out_keys)
    assert all(value.shape == () for value in result.values())
    assert {key for key, value in result.items() if value.requires_grad} == {"loss_q"}
    assert batch["td_error"].shape == (32,)
    assert not batch["td_error"].requires_grad


def test_batch_gains_the_error_and_nothing_else(transitions: Any) -> None:
    batch = transitions(ACTIONS)
    before = batch.clone()
    loss_for(q_network())(batch)
    assert (batch.exclude("td_error") == before).all()


def test_in_keys_are_exactly_what_is_needed(transitions: Any) -> None:
    loss = loss_for(q_network())
    batch = transitions(ACTIONS)
    loss(batch.select(*loss.in_keys))
    for key in loss.in_keys:
        with pytest.raises(KeyError, match="DQNLoss reads"):
            loss(batch.select(*loss.in_keys).exclude(key))


def test_parameters_are_those_of_the_q_network() -> None:
    loss = DQNLoss(q_network())
    assert {id(p) for p in loss.parameters()} == {id(p) for p in loss.q_network.parameters()}
    assert any(name.startswith("target_network.") for name in loss.state_dict())


def test_an_optimizer_leaves_the_target_alone_until_it_is_updated(transitions: Any) -> None:
    loss = DQNLoss(q_network())
    before = {name: t.clone() for name, t in loss.target_network.state_dict().items()}
    optimizer = torch.optim.AdamW(loss.parameters(), lr=0.1)
    loss(transitions(ACTIONS))["loss_q"].backward()
    optimizer.step()
    for name, tensor in loss.target_network.state_dict().items():
        assert torch.equal(tensor, before[name])
    loss.update_targets(0.5)
    for name, tensor in loss.target_network.state_dict().items():
        middle = (before[name] + loss.q_network.state_dict()[name]) / 2
        torch.testing.assert_close(tensor, middle)
    loss.update_targets()
    for name, tensor in loss.q_network.state_dict().items():
        assert torch.equal(tensor, loss.target_network.state_dict()[name])


def test_state_round_trips_with_the_target(transitions: Any) -> None:
    loss, other = loss_for(q_network()), DQNLoss(q_network(3))
    other.load_state_dict(loss.state_dict())
    batch = transitions(ACTIONS)
    assert torch.equal(other(batch)["loss_q"], loss(batch)["loss_q"])


def test_loss_is_a_function_of_parameters_given_from_outside(transitions: Any) -> None:
    loss, batch = loss_for(q_network()), transitions(ACTIONS)
    parameters = {name: p.detach().clone() for name, p in loss.named_parameters()}

    def objective(parameters: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(loss, parameters, (batch.clone(),))["loss_q"]

    functional = torch.func.grad(objective)(parameters)
    plain = our_gradients(loss, loss(batch)["loss_q"])
    for name, gradient in functional.items():
        torch.testing.assert_close(gradient, plain[name.removeprefix("q_network.")])


def test_terms_on_plain_tensors_are_the_same(transitions: Any) -> None:
    loss, batch = loss_for(q_network()), transitions(ACTIONS)
    terms = loss.terms(
        batch["observation"],
        batch["action"],
        batch["next", "observation"],
        batch["next", "reward"].squeeze(-1),
        batch["next", "terminated"].squeeze(-1),
    )
    result = loss(batch)
    assert torch.equal(terms["loss_q"], result["loss_q"])
    assert torch.equal(terms["td_error"], batch["td_error"])


def test_dict_observations_are_read_by_nested_keys() -> None:
    space = spaces.Dict({"a": OBSERVATION, "b": spaces.Discrete(2)})
    loss = DQNLoss(QNetwork.from_spaces(space, ACTIONS))
    assert loss.in_keys[:5] == [
        ("observation", "a"),
        ("observation", "b"),
        "action",
        ("next", "observation", "a"),
        ("next", "observation", "b"),
    ]
    observation = {"a": torch.randn(5, 3), "b": torch.ones(5, dtype=torch.long)}
    batch = TensorDict(
        {
            "observation": observation,
            "action": torch.zeros(5, dtype=torch.long),
            "next": {
                "observation": observation,
                "reward": torch.ones(5, 1),
                "terminated": torch.zeros(5, 1, dtype=torch.bool),
            },
        },
        [5],
    )
    assert loss(batch)["loss_q"].isfinite()


def test_computing_the_loss_never_touches_the_global_generator(transitions: Any) -> None:
    loss, batch = loss_for(q_network()), transitions(ACTIONS)
    before = torch.get_rng_state()
    loss(batch)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_hot_actions_are_refused(transitions: Any) -> None:
    batch = transitions(ACTIONS)
    batch["action"] = nn.functional.one_hot(batch["action"], 4)
    with pytest.raises(ValueError, match=r"DQNLoss expects actions as one integer per transition"):
        loss_for(q_network())(batch)


def test_a_policy_for_continuous_actions_is_refused() -> None:
    policy = SquashedGaussianPolicy.from_spaces(OBSERVATION, OBSERVATION)
    with pytest.raises(TypeError, match="DQNLoss expects a q_network .* per discrete action"):
        DQNLoss(policy)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"gamma": 1.5}, "gamma to be a number not below 0 and at most 1, got 1.5"),
        ({"gamma": "0.9"}, "gamma to be a number"),
        ({"loss_function": "huber"}, "loss_function to be one of 'l2', 'smooth_l1', 'l1'"),
    ],
)
def test_bad_arguments_are_named(bad: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"DQNLoss expects {text}"):
        DQNLoss(q_network(), **bad)


def test_modules_keep_their_method_double() -> None:
    assert DQNLoss(q_network(), double=True).double().q_network.action_net[0].weight.dtype == (
        torch.float64
    )


def test_terms_are_captured_in_one_graph(transitions: Any) -> None:
    loss, batch = loss_for(q_network(dueling=True)), transitions(ACTIONS)
    inputs = read_transitions(batch, "It")
    captured = torch.compile(loss.terms, fullgraph=True, backend="eager")(*inputs)
    for key, value in loss.terms(*inputs).items():
        torch.testing.assert_close(captured[key], value)
