"""The short way of a fused Adam does to the bit what torch's does, or leaves it to torch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from hookrl import fused_adam
from hookrl.fused_adam import step_and_clear

KINDS = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}


def pair(kind: str = "Adam", **options: Any) -> tuple[nn.Module, nn.Module, Any, Any]:
    """Two equal networks with an optimizer each."""
    ours = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    generator = torch.Generator().manual_seed(0)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, generator=generator)
    theirs = copy.deepcopy(ours)
    options = {"fused": True, "lr": 0.1, **options}
    return (
        ours,
        theirs,
        KINDS[kind](ours.parameters(), **options),
        KINDS[kind](theirs.parameters(), **options),
    )


def backward(network: nn.Module, times: int) -> None:
    x = torch.linspace(-1, 1, 12).reshape(4, 3) * (times + 1)
    network(x).square().mean().backward()


def assert_equal(ours: nn.Module, theirs: nn.Module, one: Any, other: Any) -> None:
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, yours)
        assert mine.grad is None
        for name, value in other.state[yours].items():
            assert torch.equal(one.state[mine][name], value)


def train(ours: nn.Module, theirs: nn.Module, one: Any, other: Any, steps: int = 5) -> None:
    for times in range(steps):
        for network in (ours, theirs):
            backward(network, times)
        step_and_clear(one)
        other.step()
        other.zero_grad()
    assert_equal(ours, theirs, one, other)


@pytest.fixture
def shortcut(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each step, whether it was the short way."""
    taken: list[bool] = []
    updates = fused_adam._updates

    def observed(optimizer: Any) -> Any:
        found = updates(optimizer)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(fused_adam, "_updates", observed)
    return taken


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"betas": (0.0, 0.99), "eps": 1e-3},
        {"maximize": True},
        {"lr": torch.tensor(0.05)},
    ],
    ids=str,
)
def test_every_number_is_torchs(kind: str, options: Any, shortcut: list[bool]) -> None:
    train(*pair(kind, **options))
    assert shortcut == [False, True, True, True, True]  # torch makes the state


def test_groups_have_their_own_settings(shortcut: list[bool]) -> None:
    ours, theirs, *_ = pair()
    optimizers = [
        torch.optim.Adam(
            [
                {"params": network[0].parameters(), "lr": 0.3},
                {"params": network[2].parameters(), "weight_decay": 0.2},
            ],
            fused=True,
        )
        for network in (ours, theirs)
    ]
    train(ours, theirs, *optimizers)
    assert shortcut[-1]


def test_what_has_no_gradient_stays(shortcut: list[bool]) -> None:
    ours, theirs, one, other = pair()
    train(ours, theirs, one, other)
    for network, optimizer in ((ours, one), (theirs, other)):
        backward(network, 1)
        network[0].bias.grad = None
        if optimizer is one:
            step_and_clear(one)
        else:
            other.step()
            other.zero_grad()
    assert_equal(ours, theirs, one, other)
    assert shortcut[-1]


def test_a_loaded_state_and_another_rate_are_taken_up(shortcut: list[bool]) -> None:
    ours, theirs, one, other = pair()
    train(ours, theirs, one, other)
    state = copy.deepcopy(one.state_dict())
    for optimizer in (one, other):
        optimizer.load_state_dict(copy.deepcopy(state))
        optimizer.param_groups[0]["lr"] = 0.01
    train(ours, theirs, one, other)
    assert shortcut == [False, *[True] * 9]


@pytest.mark.parametrize(
    "options",
    [
        {"fused": False},
        {"amsgrad": True},
        {"betas": (torch.tensor(0.9), torch.tensor(0.99))},
        {"fused": False, "foreach": True},
    ],
    ids=str,
)
def test_other_forms_are_torchs(options: Any, shortcut: list[bool]) -> None:
    train(*pair(**options))
    assert not any(shortcut)


def test_so_are_other_numbers(shortcut: list[bool]) -> None:
    ours, theirs, *_ = pair()
    optimizers = [
        torch.optim.Adam(network.double().parameters(), lr=0.1, fused=True)
        for network in (ours, theirs)
    ]
    x = torch.linspace(-1, 1, 12).double().reshape(4, 3)
    for _ in range(3):
        for network in (ours, theirs):
            network(x).square().mean().backward()
        step_and_clear(optimizers[0])
        optimizers[1].step()
        optimizers[1].zero_grad()
    assert_equal(ours, theirs, *optimizers)
    assert not any(shortcut)


class Counting(torch.optim.Adam):
    """Does more in a step than its base."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        return super().step(closure)


def test_a_method_of_ones_own_is_called() -> None:
    ours, _, one, _ = pair()
    own = Counting(ours.parameters(), fused=True)
    seen: list[str] = []
    one.zero_grad = lambda: seen.append("zero_grad")
    for times in range(3):
        backward(ours, times)
        step_and_clear(one)
        step_and_clear(own)
    assert own.steps == 3
    assert seen == ["zero_grad"] * 3


def test_a_scaler_of_gradients_is_heeded() -> None:
    ours, _, one, _ = pair()
    backward(ours, 0)
    step_and_clear(one)
    before = copy.deepcopy(ours.state_dict())
    backward(ours, 0)
    one.grad_scale, one.found_inf = torch.ones(()), torch.ones(())
    step_and_clear(one)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, before[name])


def test_another_optimizer_is_stepped_too() -> None:
    ours, theirs, *_ = pair()
    before = copy.deepcopy(ours.state_dict())
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.1) for network in (ours, theirs)]
    train(ours, theirs, *optimizers)
    assert not any(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize(
    "registers",
    [
        lambda optimizer: optimizer.register_step_pre_hook,
        lambda optimizer: optimizer.register_step_post_hook,
        lambda _: register_optimizer_step_pre_hook,
        lambda _: register_optimizer_step_post_hook,
    ],
    ids=["its own, before", "its own, after", "everybody's, before", "everybody's, after"],
)
def test_a_hook_of_the_optimizer_sees_its_steps(registers: Any) -> None:
    ours, _, one, _ = pair()
    seen: list[Any] = []
    handle = registers(one)(lambda optimizer, *_: seen.append(optimizer))
    try:
        for times in range(3):
            backward(ours, times)
            step_and_clear(one)
    finally:
        handle.remove()
    assert seen == [one] * 3


def test_a_profiler_sees_them_too() -> None:
    ours, _, one, _ = pair()
    backward(ours, 0)
    step_and_clear(one)
    with torch.profiler.profile() as profile:
        backward(ours, 1)
        step_and_clear(one)
    assert any("Optimizer.step#Adam.step" in event.key for event in profile.key_averages())


@pytest.mark.filterwarnings("error")
def test_a_scheduler_counts_the_steps() -> None:
    ours, theirs, one, other = pair()
    train(ours, theirs, one, other, steps=2)
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(o, 0.5) for o in (one, other)]
    train(ours, theirs, one, other, steps=2)
    for scheduler in schedulers:
        scheduler.step()
    assert one.param_groups[0]["lr"] == pytest.approx(0.05)
    train(ours, theirs, one, other, steps=2)


def test_gradients_that_are_sparse_are_refused_as_by_torch() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    optimizer = torch.optim.Adam(table.parameters(), fused=True)
    table.weight.grad = torch.ones(4, 2)
    step_and_clear(optimizer)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        step_and_clear(optimizer)
