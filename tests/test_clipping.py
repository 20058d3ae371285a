"""Clipping gives to the bit what torch's gives, and leaves to it what is not the plain case."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from hookrl.clipping import clip_to_norm


def parameters(*gradients: Tensor | None) -> list[nn.Parameter]:
    made = []
    for gradient in gradients:
        shape = (3,) if gradient is None else gradient.shape
        dtype = torch.float32 if gradient is None else gradient.dtype
        made.append(nn.Parameter(torch.zeros(shape, dtype=dtype)))
        made[-1].grad = gradient
    return made


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


CASES: dict[str, list[Tensor | None]] = {
    "plain": [random(64, 4), random(64)],
    "one without a gradient": [random(5, 3), None, random(7)],
    "two types": [random(5, 3), random(5).double()],
    "none at all": [None],
    "a subclass": [nn.Parameter(random(5, 3)), random(7)],
    "not finite": [random(5, 3) / 0],
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("bound", [0.5, 1e6], ids=["above the bound", "below it"])
def test_it_is_torchs_clipping(case: list[Tensor | None], bound: float) -> None:
    ours, theirs = parameters(*copy.deepcopy(case)), parameters(*copy.deepcopy(case))
    norm, expected = clip_to_norm(ours, bound), nn.utils.clip_grad_norm_(theirs, bound)
    torch.testing.assert_close(norm, expected, rtol=0, atol=0, equal_nan=True)
    for mine, yours in zip(ours, theirs, strict=True):
        assert (mine.grad is None) == (yours.grad is None)
        if mine.grad is not None and yours.grad is not None:
            torch.testing.assert_close(mine.grad, yours.grad, rtol=0, atol=0, equal_nan=True)


def test_the_norm_is_over_all_gradients_together() -> None:
    made = parameters(torch.tensor([3.0]), torch.tensor([0.0, 4.0]))
    assert clip_to_norm(made, 1.0).item() == 5.0
    clipped = torch.cat([one.grad for one in made if one.grad is not None])
    torch.testing.assert_close(clipped, torch.tensor([0.6, 0.0, 0.8]))


def test_a_gradient_that_could_be_derived_is_clipped_without_a_trace() -> None:
    made = parameters(random(3))
    made[0].grad = (random(3).requires_grad_() * 2.0).square()
    assert not clip_to_norm(made, 0.1).requires_grad


def test_in_a_graph_each_norm_is_an_operation_of_its_own() -> None:
    """A compiler has no code for the norms of a list."""

    def function(one: Tensor, other: Tensor) -> Tensor:
        return clip_to_norm(parameters(one, other), 0.5)

    inputs = random(5, 3), random(7)
    traced = make_fx(function, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    names = [str(node.target) for node in traced.graph.nodes]
    assert not [name for name in names if "foreach" in name]
