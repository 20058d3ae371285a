"""What SAC's losses reach, hold, read, draw and refuse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from gymnasium import spaces
from objectives.sac_losses import (
    ACTIONS,
    LOSSES,
    OBSERVATION,
    B,
    assert_same_gradients,
    loss_for,
    our_gradients,
    randomize,
    total,
    with_noise,
)
from torch import Tensor, nn

from hookrl.models import CategoricalPolicy
from hookrl.objectives import SACLoss
from hookrl.objectives.td import read_transitions


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


def test_losses_may_be_optimised_together_or_apart(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    together = our_gradients(loss, total(loss(batch)))
    for key in LOSSES:
        loss(batch)[key].backward()
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, together[name])


def test_parameters_are_policy_critics_and_temperature() -> None:
    loss = loss_for()
    trained = [*loss.policy.parameters(), *loss.critics.parameters(), loss.log_alpha]
    assert {id(p) for p in loss.parameters()} == {id(p) for p in trained}
    assert all(p.requires_grad for p in loss.parameters())


def test_an_optimizer_leaves_the_targets_alone_until_they_are_updated(transitions: Any) -> None:
    loss = loss_for()
    before = {name: t.clone() for name, t in loss.target_critics.state_dict().items()}
    optimizer = torch.optim.AdamW(loss.parameters(), lr=0.1)
    total(loss(transitions(ACTIONS))).backward()
    optimizer.step()
    for name, tensor in loss.target_critics.state_dict().items():
        assert torch.equal(tensor, before[name])
    loss.update_targets(0.25)
    for name, tensor in loss.target_critics.state_dict().items():
        moved = 0.75 * before[name] + 0.25 * loss.critics.state_dict()[name]
        torch.testing.assert_close(tensor, moved)


def test_automatic_target_entropy_is_minus_the_dimensions() -> None:
    assert loss_for().target_entropy == -2


def test_result_is_scalar_and_only_losses_carry_gradients(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    result = loss(batch)
    assert set(result.keys()) == set(loss.out_keys)
    assert all(value.shape == () for value in result.values())
    assert {key for key, value in result.items() if value.requires_grad} == set(LOSSES)
    assert batch["td_error"].shape == (B,)
    assert not batch["td_error"].requires_grad


def test_in_keys_are_exactly_what_is_needed(transitions: Any) -> None:
    loss, batch = loss_for(), transitions(ACTIONS)
    loss(batch.select(*loss.in_keys))
    for key in loss.in_keys:
        with pytest.raises(KeyError, match="SACLoss reads"):
            loss(batch.select(*loss.in_keys).exclude(key))


def test_own_noise_is_seeded_and_never_the_global_one(transitions: Any) -> None:
    batch = transitions(ACTIONS)
    before = torch.get_rng_state()
    first, again, other = (loss_for(seed=seed)(batch) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first["loss_actor"], again["loss_actor"])
    assert not torch.equal(first["loss_actor"], other["loss_actor"])
    loss = loss_for(seed=2)
    loss.set_seed(1)
    assert torch.equal(loss(batch)["loss_actor"], first["loss_actor"])
    assert not torch.equal(loss(batch)["loss_actor"], first["loss_actor"])


def test_state_round_trips_with_targets_and_noise(transitions: Any) -> None:
    batch = transitions(ACTIONS)
    loss, other = loss_for(), loss_for(seed=9)
    randomize(other.parameters(), 5)
    loss(batch)
    other.load_state_dict(copy.deepcopy(loss.state_dict()))
    expected, got = loss(batch), other(batch)
    for key, value in expected.items():
        assert torch.equal(got[key], value), key


def test_noise_given_from_outside_leaves_the_own_one_alone(transitions: Any) -> None:
    loss = loss_for()
    before = loss.get_extra_state()["generator"]
    loss(with_noise(transitions(ACTIONS)))
    assert torch.equal(loss.get_extra_state()["generator"], before)


def test_loss_is_a_function_of_parameters_given_from_outside(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    parameters = {name: p.detach().clone() for name, p in loss.named_parameters()}

    def objective(parameters: dict[str, Tensor]) -> Tensor:
        return total(torch.func.functional_call(loss, parameters, (batch.clone(),)))

    functional = torch.func.grad(objective)(parameters)
    assert_same_gradients(functional, our_gradients(loss, total(loss(batch))))


def test_terms_on_plain_tensors_are_the_same(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    terms = loss.terms(
        batch["observation"],
        batch["action"],
        batch["next", "observation"],
        batch["next", "reward"].squeeze(-1),
        batch["next", "terminated"].squeeze(-1),
        noise=batch["noise", "action"],
        next_noise=batch["noise", "next_action"],
    )
    for key, value in loss(batch).items():
        assert torch.equal(terms[key], value)


def test_any_number_of_critics_is_taken(transitions: Any) -> None:
    for num_critics in (1, 3):
        assert loss_for(num_critics)(transitions(ACTIONS))["loss_qvalue"].isfinite()


def test_a_discrete_policy_is_refused_with_the_loss_to_use() -> None:
    policy = CategoricalPolicy.from_spaces(OBSERVATION, spaces.Discrete(2))
    with pytest.raises(TypeError, match="DiscreteSACLoss is for discrete actions"):
        SACLoss(policy, loss_for().critics)


def test_critics_that_are_no_module_are_refused() -> None:
    critics: Any = [nn.Linear(2, 1)]
    with pytest.raises(TypeError, match="SACLoss expects critics as a module"):
        SACLoss(loss_for().policy, critics)


def test_noise_of_another_shape_is_refused(transitions: Any) -> None:
    batch = with_noise(transitions(ACTIONS))
    batch["noise", "action"] = torch.zeros(B, 1)
    with pytest.raises(
        ValueError, match=r"\('noise', 'action'\) of shape \(32, 2\), got \(32, 1\)"
    ):
        loss_for()(batch)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"gamma": -0.1}, "gamma to be a number not below 0 and at most 1, got -0.1"),
        ({"alpha_init": 0.0}, "alpha_init to be a number above 0, got 0.0"),
        ({"target_entropy": "automatic"}, "target_entropy to be a finite number or 'auto'"),
        ({"target_entropy": float("nan")}, "target_entropy to be a finite number or 'auto'"),
        ({"loss_function": "l3"}, "loss_function to be one of 'l2', 'smooth_l1', 'l1', got 'l3'"),
    ],
)
def test_bad_arguments_are_named(bad: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"SACLoss expects {text}"):
        loss_for(**bad)


@pytest.mark.parametrize("outputs", [1, 4], ids=["single critic", "discrete critics"])
def test_critics_of_another_shape_are_refused(transitions: Any, outputs: int) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(5, outputs))

        def forward(self, observation: Tensor, action: Tensor) -> Tensor:
            values = torch.cat([observation, action], -1) @ self.weight
            return values if outputs == 1 else torch.stack([values, values])

    with pytest.raises(
        ValueError, match=r"critics that give \[num_critics, 32, 1\] for 32 obs.*, got"
    ):
        SACLoss(loss_for().policy, Flat())(transitions(ACTIONS))


def test_terms_are_captured_in_one_graph(transitions: Any) -> None:
    loss, batch = loss_for(), with_noise(transitions(ACTIONS))
    inputs, noise = read_transitions(batch, "It"), loss.noise(batch)
    captured = torch.compile(loss.terms, fullgraph=True, backend="eager")(*inputs, **noise)
    for key, value in loss.terms(*inputs, **noise).items():
        torch.testing.assert_close(captured[key], value)
