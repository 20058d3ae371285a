"""Layers for large batches give what torch's give, with gradients, and are not traced as such."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from hookrl.models.layers import Linear, Tanh

SMALL, LARGE = 8, 4096


def gradients(layer: nn.Module, x: Tensor, *wanted: Tensor) -> tuple[Tensor, ...]:
    y = layer(x)
    return torch.autograd.grad((y * torch.linspace(-1, 1, y.shape[-1])).sum(), wanted)


@pytest.mark.parametrize("rows", [SMALL, LARGE])
@pytest.mark.parametrize("inputs", [1, 4, 17, 64])
def test_a_linear_layer_is_torchs(rows: int, inputs: int) -> None:
    theirs, ours = nn.Linear(inputs, 64), Linear(inputs, 64)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(rows, inputs, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x))
    found, expected = (gradients(layer, x, x, *layer.parameters()) for layer in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_a_narrow_weight_lies_as_the_weight_does() -> None:
    layer = Linear(4, 64)
    layer(torch.randn(LARGE, 4)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.is_contiguous()


def test_a_narrow_weight_is_copied_for_large_batches_alone() -> None:
    def copies(rows: int) -> bool:
        with torch.profiler.profile() as profile:
            Linear(4, 64)(torch.randn(rows, 4))
        return any(event.key == "aten::clone" for event in profile.key_averages())

    assert copies(LARGE)
    assert not copies(SMALL)
    with torch.no_grad():
        assert not copies(LARGE)


@pytest.mark.parametrize("rows", [SMALL, LARGE])
def test_the_hyperbolic_tangent_is_within_rounding(rows: int) -> None:
    x = torch.linspace(-20, 20, rows * 64).view(rows, 64)
    torch.testing.assert_close(Tanh()(x).double(), torch.tanh(x.double()), rtol=0, atol=2e-7)
    extremes = torch.tensor([float("inf"), -float("inf"), 0.0, float("nan")]).expand(rows, 16, 4)
    torch.testing.assert_close(Tanh()(extremes), torch.tanh(extremes), equal_nan=True)


@pytest.mark.parametrize("rows", [SMALL, LARGE])
def test_its_gradient_is_torchs(rows: int) -> None:
    x = torch.linspace(-5, 5, rows * 64).view(rows, 64).requires_grad_()
    (found,), (expected,) = gradients(Tanh(), x, x), gradients(nn.Tanh(), x, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_it_leaves_its_input_as_it_is_and_can_be_derived_twice_and_mapped() -> None:
    x = torch.randn(LARGE, 64, requires_grad=True)
    before = x.detach().clone()
    for tanh in (Tanh(), torch.func.vmap(Tanh())):
        (slope,) = torch.autograd.grad(tanh(x).sum(), x, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), x)
        t = torch.tanh(x.detach())
        torch.testing.assert_close(curvature, -2 * t * (1 - t * t), rtol=1e-4, atol=1e-5)
    assert torch.equal(x.detach(), before)


def test_half_precision_and_doubles_are_torchs() -> None:
    for dtype in (torch.bfloat16, torch.float64):
        x = torch.randn(LARGE, 64, dtype=dtype)
        assert torch.equal(Tanh()(x), torch.tanh(x))


def test_what_is_traced_is_torchs_own() -> None:
    network = nn.Sequential(Linear(4, 64), Tanh())
    traced = make_fx(network, tracing_mode="fake", _allow_non_fake_inputs=True)(
        torch.ones(LARGE, 4)
    )
    targets = {node.target for node in traced.graph.nodes}
    assert torch.ops.aten.tanh.default in targets
    assert torch.ops.aten.clone.default not in targets
