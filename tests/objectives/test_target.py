"""Target networks: frozen, and where they should be."""

from __future__ import annotations

import pytest
import torch
from gymnasium import spaces
from torch import nn

from hookrl.models import QNetwork
from hookrl.objectives import frozen_copy, hard_update, soft_update


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_a_copy_computes_the_same_and_shares_nothing() -> None:
    source = network().eval()
    target = frozen_copy(source)
    x = torch.ones(2, 3)
    torch.testing.assert_close(target(x), source(x))
    before = target(x)
    with torch.no_grad():
        source[0].weight.mul_(2)
    assert torch.equal(target(x), before)


def test_a_copy_has_no_gradients_but_the_same_state() -> None:
    source = network()
    source(torch.ones(2, 3)).sum().backward()
    target = frozen_copy(source)
    assert not any(p.requires_grad or p.grad is not None for p in target.parameters())
    assert all(p.requires_grad and p.grad is not None for p in source.parameters())
    assert list(target.state_dict()) == list(source.state_dict())


def test_parameters_that_are_one_stay_one_and_move_once() -> None:
    source = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    source[1].weight = source[0].weight
    target = frozen_copy(source)
    assert target[0].weight is target[1].weight
    with torch.no_grad():
        target[0].weight.zero_()
    soft_update(source, target, 0.5)
    torch.testing.assert_close(target[0].weight.data, 0.5 * source[0].weight.detach())


def test_soft_update_moves_parameters_and_copies_buffers() -> None:
    source, target = network(1), frozen_copy(network(0))
    source[1].running_mean.fill_(3.0)
    source[1].num_batches_tracked.fill_(7)
    soft_update(source, target, 0.25)
    expected = 0.75 * network(0)[2].weight + 0.25 * source[2].weight
    torch.testing.assert_close(target[2].weight.data, expected.detach())
    assert (target[1].running_mean == 3.0).all()
    assert target[1].num_batches_tracked == 7
    assert not any(p.requires_grad for p in target.parameters())


def test_hard_update_copies_bit_for_bit() -> None:
    source, target = network(1), frozen_copy(network(0))
    hard_update(source, target)
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[name])


def test_the_source_is_left_as_it_was() -> None:
    source, target = network(1), frozen_copy(network(0))
    soft_update(source, target, 0.5)
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, network(1).state_dict()[name])


def test_updates_find_tensors_that_were_moved() -> None:
    source, target = network(1), frozen_copy(network(0))
    soft_update(source, target, 0.5)
    source.double()
    target.double()
    hard_update(source, target)
    assert torch.equal(target[0].weight, source[0].weight)


def test_a_network_without_a_copyable_constructor_is_copied() -> None:
    space = spaces.Box(-1, 1, (3,))
    source = QNetwork.from_spaces(space, spaces.Discrete(2), dueling=True)
    x = torch.ones(2, 3)
    torch.testing.assert_close(frozen_copy(source)(x), source(x))


@pytest.mark.parametrize("tau", [0.0, -0.1, 1.1, float("nan")])
def test_tau_out_of_range_is_refused(tau: float) -> None:
    with pytest.raises(ValueError, match="tau above 0 and at most 1, got"):
        soft_update(network(), frozen_copy(network()), tau)


@pytest.mark.parametrize(
    "other",
    [nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))],
    ids=["kind", "shape"],
)
def test_another_network_is_refused(other: nn.Module) -> None:
    with pytest.raises(ValueError, match="make it with frozen_copy"):
        hard_update(network(), frozen_copy(other))
