"""The other forms compute the same, and are taken for the layouts that they are meant for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hookrl import decompositions
from hookrl.graph import Graph


def random(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def matrices(rows: int, inner: int, columns: int) -> tuple[Tensor, Tensor]:
    a, b = random((inner, rows), (inner, columns))
    return a.t(), b


@pytest.mark.parametrize("columns", [2, 4, 32])
def test_a_narrow_product_of_a_transposed_matrix_is_turned_round(columns: int) -> None:
    a, b = matrices(64, 100, columns)
    turned = decompositions.mm(a, b)
    torch.testing.assert_close(turned, a @ b)
    assert turned.is_contiguous()


@pytest.mark.parametrize(
    ("rows", "columns"), [(64, 33), (4, 64), (64, 1)], ids=["half as wide", "wide", "vector"]
)
def test_other_products_are_left_alone(rows: int, columns: int) -> None:
    a, b = matrices(rows, 100, columns)
    assert decompositions.mm(a, b) is NotImplemented


def test_so_is_a_product_with_a_matrix_that_is_not_transposed() -> None:
    a, b = matrices(64, 100, 4)
    assert decompositions.mm(a.contiguous(), b) is NotImplemented


def test_a_sum_with_factors_is_left_alone() -> None:
    a, b = matrices(3, 5, 2)
    assert decompositions.addmm(torch.ones(2), a, b, beta=0.5) is NotImplemented
    assert decompositions.addmm(torch.ones(2), a, b, alpha=2.0) is NotImplemented


def test_of_many_matrices_a_bias_is_added_and_other_sums_are_left_alone() -> None:
    a, b, bias, sums = random((3, 5, 4), (3, 4, 2), (2,), (3, 5, 2))
    torch.testing.assert_close(decompositions.baddbmm(bias, a, b), torch.baddbmm(bias, a, b))
    assert decompositions.baddbmm(sums, a, b) is NotImplemented
    assert decompositions.baddbmm(bias, a, b, beta=0.5) is NotImplemented
    assert decompositions.baddbmm(bias, a, b, alpha=2.0) is NotImplemented


def layer(x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    """A layer's output, and the gradients of its parameters."""
    with torch.enable_grad():
        parameters = [weight.detach().requires_grad_(), bias.detach().requires_grad_()]
        y = torch.nn.functional.linear(x, *parameters).square()
        return [y.detach(), *torch.autograd.grad(y.sum(), parameters)]


@pytest.mark.usefixtures("either_way")
def test_a_captured_layer_has_the_same_output_and_gradients() -> None:
    inputs = random((50, 4), (16, 4), (16,))
    found, expected = Graph(layer, inputs)(*inputs), layer(*inputs)
    for one, other in zip(found, expected, strict=True):
        assert one.stride() == other.stride()
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("interpreted")
def test_a_graph_takes_the_other_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: list[torch.fx.GraphModule] = []
    monkeypatch.setattr("hookrl.graph._compiled", lambda module, _: modules.append(module))
    Graph(layer, random((50, 4), (16, 4), (16,)))
    products = [
        tuple(node.meta["val"].shape)
        for node in modules[0].graph.nodes
        if node.target is torch.ops.aten.mm.default
    ]
    assert products == [(50, 16), (4, 16)]


@pytest.mark.usefixtures("either_way")
def test_the_hyperbolic_tangent_is_within_rounding() -> None:
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.tensor([float("inf"), -float("inf")])])
    graph = Graph(lambda x: [torch.tanh(x)], [x])
    torch.testing.assert_close(graph(x)[0].double(), torch.tanh(x.double()), rtol=0, atol=4e-7)
    assert graph(torch.full_like(x, float("nan")))[0].isnan().all()
    small = torch.logspace(-37, -1, 4003)  # relative to the value too
    torch.testing.assert_close(
        graph(small)[0].double(), torch.tanh(small.double()), rtol=4e-7, atol=0
    )


@pytest.mark.usefixtures("either_way")
def test_it_never_exceeds_one() -> None:
    all_from_four_to_eight = torch.arange(2**23, dtype=torch.int32) + 129 * 2**23
    x = all_from_four_to_eight.view(torch.float32)
    assert (x[0], x[-1].ceil()) == (4, 8)
    (values,) = Graph(lambda x: [torch.tanh(x)], [x])(x)
    assert values.max() <= 1
    assert (values.double() - torch.tanh(x.double())).abs().max() < 4e-7


@pytest.mark.usefixtures("either_way")
def test_in_double_precision_it_is_the_librarys() -> None:
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64)
    (found,) = Graph(lambda x: [torch.tanh(x)], [x])(x)
    torch.testing.assert_close(found, torch.tanh(x), rtol=0, atol=1e-15)


@pytest.mark.usefixtures("interpreted")
def test_its_gradient_is_that_of_the_librarys() -> None:
    def slope(x: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            return list(torch.autograd.grad(torch.tanh(leaf).sum(), [leaf]))

    x = torch.linspace(-5, 5, 101)
    torch.testing.assert_close(Graph(slope, [x])(x)[0], slope(x)[0], rtol=1e-5, atol=1e-6)
