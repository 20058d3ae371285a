"""Temporal-difference targets by hand, and the reading of transitions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gymnasium import spaces

from hookrl.objectives import td_target
from hookrl.objectives.td import read_transitions, value_loss, weighted_mean

DISCRETE = spaces.Discrete(4)


def test_terminated_steps_are_worth_their_reward_and_others_bootstrap() -> None:
    target = td_target(
        torch.tensor([1.0, 2.0]), torch.tensor([True, False]), torch.tensor([10.0, 20.0]), 0.5
    )
    assert target.tolist() == [1.0, 12.0]


def test_values_of_terminal_states_may_be_infinite() -> None:
    target = td_target(torch.ones(1), torch.tensor([True]), torch.tensor([torch.inf]), 0.9)
    assert target.tolist() == [1.0]


def test_discount_is_per_step() -> None:
    target = td_target(
        torch.zeros(3),
        torch.zeros(3, dtype=torch.bool),
        torch.ones(3),
        0.5,
        torch.tensor([1, 2, 3]),
    )
    assert target.tolist() == [0.5, 0.25, 0.125]


def test_weights_multiply_and_are_not_made_to_sum_to_one() -> None:
    weighted = weighted_mean(torch.tensor([2.0, 4.0]), torch.tensor([0.5, 0.25]))
    assert weighted.item() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(5,), (2, 5)], ids=["one critic", "two critics"])
@pytest.mark.parametrize("loss_function", ["l2", "smooth_l1", "l1"])
def test_weights_of_one_change_nothing(shape: tuple[int, ...], loss_function: str) -> None:
    value = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(5)
    plain = value_loss(value, target, loss_function, None)
    torch.testing.assert_close(value_loss(value, target, loss_function, torch.ones(5)), plain)


def test_losses_of_critics_add_up() -> None:
    value = torch.tensor([[1.0, 3.0], [2.0, 2.0]])
    assert value_loss(value, torch.zeros(2), "l2", None).item() == pytest.approx(5.0 + 4.0)


def test_scalars_come_with_or_without_an_axis_of_their_own(transitions: Any) -> None:
    batch = transitions(DISCRETE)
    flat = batch.clone()
    for key in (("next", "reward"), ("next", "terminated")):
        flat[key] = flat[key].squeeze(-1)
    for one, other in zip(read_transitions(batch, "It"), read_transitions(flat, "It"), strict=True):
        assert one is other is None or torch.equal(one, other)


@pytest.mark.parametrize("key", ["_weight", "priority_weight"])
def test_weights_are_found_by_either_name(transitions: Any, key: str) -> None:
    batch = transitions(DISCRETE)
    assert read_transitions(batch, "It").weight is None
    batch[key] = torch.rand(32, 1)
    weight = read_transitions(batch, "It").weight
    assert weight is not None
    assert torch.equal(weight, batch[key].squeeze(-1))


def test_a_batch_of_trajectories_is_refused(transitions: Any) -> None:
    with pytest.raises(
        ValueError, match=r"It expects transitions of batch size \[B\], got \[4, 8\]"
    ):
        read_transitions(transitions(DISCRETE).reshape(4, 8), "It")


def test_an_entry_that_would_broadcast_is_refused(transitions: Any) -> None:
    batch = transitions(DISCRETE)
    batch["next", "reward"] = torch.zeros(32, 2)
    with pytest.raises(
        ValueError, match=r"reward'\) with one number per transition, got \(32, 2\)"
    ):
        read_transitions(batch, "It")


def test_a_missing_entry_is_named_with_the_nearest(transitions: Any) -> None:
    batch = transitions(DISCRETE)
    batch.rename_key_(("next", "terminated"), ("next", "terminate"))
    with pytest.raises(KeyError, match=r"reads 'next.terminated'.*did you mean 'next.terminate'"):
        read_transitions(batch, "It")
