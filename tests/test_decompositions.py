"""The ways taken in captured graphs compute what the library does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from hookrl.decompositions import DECOMPOSITIONS
from hookrl.graph import Graph

GENERATOR = torch.Generator().manual_seed(1)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=GENERATOR)


def check_tanh() -> None:
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.tensor([float("inf"), -float("inf")])])
    graph = Graph(lambda x: [torch.tanh(x)], [x])
    torch.testing.assert_close(graph(x)[0].double(), torch.tanh(x.double()), rtol=0, atol=1e-7)
    assert graph(torch.full_like(x, float("nan")))[0].isnan().all()


@pytest.mark.usefixtures("interpreted")
def test_the_hyperbolic_tangent_is_as_exact_as_the_librarys() -> None:
    check_tanh()


def test_it_is_when_compiled() -> None:
    check_tanh()


@pytest.mark.usefixtures("interpreted")
def test_its_gradient_is_that_of_the_librarys() -> None:
    def slope(x: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            return list(torch.autograd.grad(torch.tanh(leaf).sum(), [leaf]))

    x = torch.linspace(-5, 5, 101)
    torch.testing.assert_close(Graph(slope, [x])(x)[0], slope(x)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factors", [{}, {"beta": 2.0}, {"alpha": -0.5, "beta": 0.0}], ids=str)
@pytest.mark.usefixtures("interpreted")
def test_a_product_and_a_sum(factors: dict[str, float]) -> None:
    inputs = [random(5), random(7, 3), random(3, 5)]
    graph = Graph(lambda bias, a, b: [torch.addmm(bias, a, b, **factors)], inputs)
    torch.testing.assert_close(graph(*inputs)[0], torch.addmm(*inputs, **factors))


def gradient(rows: Tensor, inputs: Tensor) -> Tensor:
    """Of the weight of a linear layer: ``[outputs, inputs]``."""
    return torch.mm(rows.t(), inputs)


@pytest.mark.parametrize(
    ("outputs", "inputs", "is_turned"),
    [(64, 4, True), (64, 24, True), (64, 25, False), (4, 4, False), (2, 64, False), (64, 1, False)],
)
def test_the_gradient_of_a_weight_with_few_columns_is_computed_as_its_transpose(
    outputs: int, inputs: int, is_turned: bool
) -> None:
    a, b = random(32, outputs), random(32, inputs)
    traced = make_fx(gradient, DECOMPOSITIONS)(a, b)
    (product,) = (n for n in traced.graph.nodes if n.target is torch.ops.aten.mm.default)
    shape = (inputs, outputs) if is_turned else (outputs, inputs)
    assert product.meta["tensor_meta"].shape == shape
    torch.testing.assert_close(traced(a, b), gradient(a, b))


def test_no_other_product_is_turned() -> None:
    a, b = random(64, 32), random(32, 4)
    traced = make_fx(torch.mm, DECOMPOSITIONS)(a, b)
    (product,) = (n for n in traced.graph.nodes if n.target is torch.ops.aten.mm.default)
    assert product.meta["tensor_meta"].shape == (64, 4)


def test_a_layer_learns_the_same_when_compiled() -> None:
    def slopes(weight: Tensor, bias: Tensor, x: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            leaves = [weight.clone().requires_grad_(), bias.clone().requires_grad_()]
            loss = torch.nn.functional.linear(x, *leaves).tanh().square().sum()
            return list(torch.autograd.grad(loss, leaves))

    inputs = [random(64, 4), random(64), random(32, 4)]
    for one, other in zip(Graph(slopes, inputs)(*inputs), slopes(*inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
