"""The hyperbolic tangent is torch's to rounding, with gradients, and is not traced as such."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from hookrl.models import layers
from hookrl.models.layers import Tanh

SMALL, LARGE = 8, 4096


def gradients(layer: nn.Module, x: Tensor, *wanted: Tensor) -> tuple[Tensor, ...]:
    y = layer(x)
    return torch.autograd.grad((y * torch.linspace(-1, 1, y.shape[-1])).sum(), wanted)


@pytest.fixture(params=[False, True], ids=["library's", "own"])
def own_form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With either form, whatever the processor."""
    monkeypatch.setattr(layers, "_LIBRARY_IS_SLOW", request.param)
    return bool(request.param)


@pytest.mark.parametrize("rows", [SMALL, LARGE])
@pytest.mark.usefixtures("own_form")
def test_the_hyperbolic_tangent_is_within_rounding(rows: int) -> None:
    x = torch.linspace(-20, 20, rows * 64).view(rows, 64)
    torch.testing.assert_close(Tanh()(x).double(), torch.tanh(x.double()), rtol=0, atol=2e-7)
    extremes = torch.tensor([float("inf"), -float("inf"), 0.0, float("nan")]).expand(rows, 16, 4)
    torch.testing.assert_close(Tanh()(extremes), torch.tanh(extremes), equal_nan=True)


@pytest.mark.parametrize("rows", [SMALL, LARGE])
@pytest.mark.usefixtures("own_form")
def test_its_gradient_is_torchs(rows: int) -> None:
    x = torch.linspace(-5, 5, rows * 64).view(rows, 64).requires_grad_()
    (found,), (expected,) = gradients(Tanh(), x, x), gradients(nn.Tanh(), x, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("own_form")
def test_it_leaves_its_input_as_it_is_and_can_be_derived_twice_and_mapped() -> None:
    x = torch.randn(LARGE, 64, requires_grad=True)
    before = x.detach().clone()
    for tanh in (Tanh(), torch.func.vmap(Tanh())):
        (slope,) = torch.autograd.grad(tanh(x).sum(), x, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), x)
        t = torch.tanh(x.detach())
        torch.testing.assert_close(curvature, -2 * t * (1 - t * t), rtol=1e-4, atol=1e-5)
    assert torch.equal(x.detach(), before)


@pytest.mark.usefixtures("own_form")
def test_forward_mode_gives_its_slope() -> None:
    x, along = torch.randn(2, LARGE, 64)
    for tanh in (Tanh(), torch.func.vmap(Tanh())):
        _, found = torch.func.jvp(tanh, (x,), (along,))
        torch.testing.assert_close(found, torch.func.jvp(torch.tanh, (x,), (along,))[1])


@pytest.mark.usefixtures("own_form")
def test_half_precision_and_doubles_are_torchs() -> None:
    for dtype in (torch.bfloat16, torch.float64):
        x = torch.randn(LARGE, 64, dtype=dtype)
        assert torch.equal(Tanh()(x), torch.tanh(x))


@pytest.mark.usefixtures("own_form")
def test_what_is_traced_is_torchs_own() -> None:
    traced = make_fx(Tanh(), tracing_mode="fake")(torch.ones(LARGE, 64))
    targets = {node.target for node in traced.graph.nodes}
    assert torch.ops.aten.tanh.default in targets


def test_which_form_is_taken(own_form: bool) -> None:
    def takes_own(rows: int) -> bool:
        with torch.profiler.profile() as profile:
            Tanh()(torch.randn(rows, 64))
        return any(event.key == "aten::sigmoid_" for event in profile.key_averages())

    assert takes_own(LARGE) == own_form
    assert not takes_own(SMALL)
