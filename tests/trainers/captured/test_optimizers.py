"""Adam as tensor code is torch's Adam."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.optim import Adam, AdamW

from hookrl.graph import NotCapturable
from hookrl.trainers.captured.optimizers import TracedAdam

SHAPES = [(4, 3), (3,), ()]


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def learn(steps: int, ours, theirs, step_ours, step_theirs) -> None:
    generator = torch.Generator().manual_seed(2)
    for _ in range(steps):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        step_ours()
        step_theirs()


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"maximize": True},
        {"betas": (0.5, 0.7)},
        {"betas": (0.0, 0.9)},
        {"eps": 1e-3},
    ],
    ids=str,
)
def test_it_does_what_torchs_does(kind, options) -> None:
    ours, theirs = parameters(), parameters()
    optimizer, expected = (kind(p, lr=0.01, fused=True, **options) for p in (ours, theirs))
    traced = TracedAdam(optimizer)
    learn(50, ours, theirs, traced.step, expected.step)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
        for name, value in expected.state[other].items():
            torch.testing.assert_close(optimizer.state[one][name], value, rtol=1e-5, atol=1e-8)


def test_torchs_adam_goes_on_where_it_stopped_and_the_other_way_round() -> None:
    ours, theirs = parameters(), parameters()
    optimizer, expected = (Adam(p, lr=0.01) for p in (ours, theirs))
    learn(3, ours, theirs, TracedAdam(optimizer).step, expected.step)
    learn(3, ours, theirs, optimizer.step, expected.step)
    learn(3, ours, theirs, TracedAdam(optimizer).step, expected.step)
    torch.testing.assert_close(ours, theirs)


def test_each_group_has_its_rate_which_may_change() -> None:
    ours, theirs = parameters(), parameters()
    optimizer, expected = (
        Adam([{"params": p[:2], "lr": 0.1}, {"params": p[2:], "lr": torch.tensor(0.01)}])
        for p in (ours, theirs)
    )
    traced = TracedAdam(optimizer)
    for rate in (0.1, 0.05, 0.0):
        for one in (optimizer, expected):
            one.param_groups[0]["lr"] = rate
            one.param_groups[1]["lr"].fill_(rate / 2)
        traced.take_up_rates()
        learn(2, ours, theirs, traced.step, expected.step)
    torch.testing.assert_close(ours, theirs)


def test_a_rate_may_be_a_number_again() -> None:
    ours, theirs = parameters(), parameters()
    optimizer, expected = Adam(ours, lr=0.1), Adam(theirs, lr=0.1)
    traced = TracedAdam(optimizer)
    for rate in (0.1, torch.tensor(0.01), 0.1):
        optimizer.param_groups[0]["lr"] = expected.param_groups[0]["lr"] = rate
        traced.take_up_rates()
        learn(2, ours, theirs, traced.step, expected.step)
    torch.testing.assert_close(ours, theirs)


def test_each_group_decays_in_its_way() -> None:
    ours, theirs = parameters(), parameters()
    optimizer, expected = (
        Adam(
            [{"params": p[:1], "decoupled_weight_decay": True}, {"params": p[1:]}],
            lr=0.1,
            weight_decay=0.5,
        )
        for p in (ours, theirs)
    )
    learn(3, ours, theirs, TracedAdam(optimizer).step, expected.step)
    torch.testing.assert_close(ours, theirs)


def test_parameters_without_a_gradient_stay_and_others_may_be_ahead() -> None:
    ours, theirs = parameters(), parameters()
    optimizer, expected = Adam(ours, lr=0.01), Adam(theirs, lr=0.01)
    learn(4, ours[:1], theirs[:1], optimizer.step, expected.step)
    traced = TracedAdam(optimizer)
    ours[0].grad = theirs[0].grad = None
    learn(2, ours[1:2], theirs[1:2], traced.step, expected.step)
    traced = TracedAdam(optimizer)
    learn(2, ours[:2], theirs[:2], traced.step, expected.step)
    torch.testing.assert_close(ours, theirs)


def test_steps_that_update_other_parameters_have_no_corrections_to_share() -> None:
    ours = parameters()
    traced = TracedAdam(Adam(ours))
    ours[0].grad = torch.ones_like(ours[0])
    traced.step()
    ours[1].grad = torch.ones_like(ours[1])
    with pytest.raises(NotCapturable, match="other parameters have gradients"):
        traced.step()


@pytest.mark.parametrize("permitted", [True, False])
def test_a_step_that_is_not_permitted_changes_nothing(permitted: bool) -> None:
    ours = parameters()
    optimizer = Adam(ours, lr=0.01)
    traced = TracedAdam(optimizer)
    for parameter in ours:
        parameter.grad = torch.full_like(parameter, 1.0 if permitted else float("nan"))
    before = copy.deepcopy(optimizer.state_dict()), [p.detach().clone() for p in ours]
    traced.permitted = torch.tensor(permitted)
    traced.step()
    same = all(torch.equal(p, old) for p, old in zip(ours, before[1], strict=True))
    steps = [state["step"].item() for state in optimizer.state_dict()["state"].values()]
    assert (same, steps) == (not permitted, [float(permitted)] * 3)
    means = [state["exp_avg"] for state in optimizer.state_dict()["state"].values()]
    assert all(mean.isfinite().all() for mean in means)


def test_loaded_state_is_noticed() -> None:
    optimizer = Adam(parameters(), lr=0.01)
    traced = TracedAdam(optimizer)
    assert traced.is_current
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert not traced.is_current


def test_others_are_refused() -> None:
    with pytest.raises(NotCapturable, match="is a SGD: expected torch's Adam or AdamW"):
        TracedAdam(torch.optim.SGD(parameters(), lr=0.1))
    with pytest.raises(NotCapturable, match="amsgrad"):
        TracedAdam(Adam(parameters(), amsgrad=True))


def test_what_torch_keeps_on_the_host_lies_beside_the_parameters() -> None:
    """As an Adam that is not fused has it after a checkpoint: a CUDA graph cannot read the host."""
    parameter = torch.nn.Parameter(torch.ones(3, device="meta"))
    optimizer = Adam([parameter], lr=torch.tensor(0.1))
    moments = {name: torch.zeros(3, device="meta") for name in ("exp_avg", "exp_avg_sq")}
    optimizer.state[parameter].update({"step": torch.tensor(4.0), **moments})
    traced = TracedAdam(optimizer)
    traced.take_up_rates()
    assert optimizer.state[parameter]["step"].device.type == "meta"
    assert traced._rates[0].device.type == "meta"
