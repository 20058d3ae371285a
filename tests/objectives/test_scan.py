"""The parallel scans against the loops they replace."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hookrl.objectives import linear_scan, reverse_linear_scan


def backward_loop(decay: Tensor, x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    carry = x.new_zeros(len(x), 1)
    for t in reversed(range(x.shape[1])):
        carry = x[:, t] + decay[:, t] * carry
        y[:, t] = carry
    return y


def forward_loop(decay: Tensor, x: Tensor, carry: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    for t in range(x.shape[1]):
        carry = x[:, t] + decay[:, t] * carry
        y[:, t] = carry
    return y


@st.composite
def recurrences(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    envs, time = draw(st.integers(1, 3)), draw(st.integers(0, 70))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    decay = torch.rand(envs, time, 1, dtype=torch.float64, generator=generator)
    ended = torch.rand(envs, time, 1, generator=generator) < draw(st.sampled_from([0.0, 0.1, 1.0]))
    x = torch.randn(envs, time, 1, dtype=torch.float64, generator=generator)
    return decay * ~ended, x


@given(recurrences())
@settings(max_examples=150, deadline=None)
def test_reverse_scan_equals_the_loop_for_every_length(recurrence: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(reverse_linear_scan(*recurrence), backward_loop(*recurrence))


@given(recurrences(), st.floats(-5, 5))
@settings(max_examples=150, deadline=None)
def test_forward_scan_equals_the_loop_from_any_initial_value(
    recurrence: tuple[Tensor, Tensor], value: float
) -> None:
    decay, x = recurrence
    initial = torch.full((len(x), 1, 1), value, dtype=x.dtype)
    expected = forward_loop(decay, x, initial[:, 0])
    torch.testing.assert_close(linear_scan(decay, x, initial), expected)


def test_forward_scan_starts_from_zero_by_default() -> None:
    ones = torch.ones(1, 4, 1)
    assert linear_scan(ones, ones).flatten().tolist() == [1.0, 2.0, 3.0, 4.0]


def test_inputs_are_neither_changed_nor_returned() -> None:
    for time in (1, 2, 5):
        decay, x = torch.rand(2, time, 1), torch.rand(2, time, 1)
        before = decay.clone(), x.clone()
        reverse_linear_scan(decay, x).zero_()
        linear_scan(decay, x, torch.ones(2, 1, 1)).zero_()
        assert torch.equal(decay, before[0])
        assert torch.equal(x, before[1])


def test_time_may_be_any_dimension() -> None:
    decay, x = torch.rand(6, 2, dtype=torch.float64), torch.rand(6, 2, dtype=torch.float64)
    expected = backward_loop(decay.T[..., None], x.T[..., None])[..., 0].T
    torch.testing.assert_close(reverse_linear_scan(decay, x, dim=0), expected)


def test_gradients_are_those_of_the_loop() -> None:
    decay = torch.rand(2, 7, 1, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 7, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(reverse_linear_scan, (decay, x))
