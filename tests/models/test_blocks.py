"""A perceptron in blocks gives what its layers give, and knows when to stand back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrizations

from hookrl.graph import Graph
from hookrl.models import blocks
from hookrl.models.blocks import ROWS, in_blocks
from hookrl.models.layers import Tanh

INPUTS = 4
LARGE = 3 * 2048 + 5  # of 64 units: three blocks and a short one


def network(*sizes: int, activation: type[nn.Module] = Tanh, ends: bool = False) -> nn.Sequential:
    """A perceptron with an activation between layers, and after the last if it ends with one."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*(layers if ends else layers[:-1]))


def gradients(y: Tensor, *wanted: Tensor) -> tuple[Tensor, ...]:
    slopes = torch.linspace(-1, 1, y.numel()).view(y.shape)
    return torch.autograd.grad((y * slopes).sum() / len(y), wanted)


def assert_same(layers: nn.Sequential, x: Tensor) -> None:
    """Blocks give what the layers give, and the same gradients of all that can have one."""
    y = in_blocks(layers, x)
    assert y is not None
    expected = layers(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    wanted = [tensor for tensor in (x, *layers.parameters()) if tensor.requires_grad]
    found = gradients(y, *wanted)
    torch.testing.assert_close(found, gradients(expected, *wanted), rtol=1e-3, atol=1e-5)
    for gradient, tensor in zip(found, wanted, strict=True):
        assert gradient.is_contiguous() == tensor.is_contiguous()


@pytest.mark.parametrize("rows", [ROWS, 2048, 2049, LARGE])
@pytest.mark.parametrize("activation", [Tanh, nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("outputs", [1, 2, 8, 9, 64])
def test_it_is_its_layers(rows: int, activation: type[nn.Module], outputs: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(rows, INPUTS)
    assert_same(network(INPUTS, 64, 64, outputs, activation=activation), x)
    assert_same(network(INPUTS, 64, 64, outputs, activation=activation), x.requires_grad_())


@pytest.mark.parametrize(
    "sizes",
    [(4, 2), (1, 64), (100, 300, 1), (4, 8, 1024, 3)],
    ids=lambda sizes: "-".join(map(str, sizes)),
)
@pytest.mark.parametrize("ends", [False, True])
def test_of_any_sizes(sizes: tuple[int, ...], ends: bool) -> None:
    torch.manual_seed(0)
    assert_same(network(*sizes, ends=ends), torch.randn(LARGE, sizes[0], requires_grad=True))


def have_threads(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """Make blocks for so many threads; what they compute does not depend on how many there are."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)


@pytest.mark.parametrize("threads", [2, 3, 16])
@pytest.mark.parametrize("rows", [ROWS, 6144, LARGE])
@pytest.mark.parametrize("outputs", [1, 2, 9])
def test_in_lanes_for_threads(
    threads: int, rows: int, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_threads(monkeypatch, threads)
    torch.manual_seed(0)
    x = torch.randn(rows, INPUTS, requires_grad=True)
    assert_same(network(INPUTS, 64, 64, outputs), x)
    assert_same(network(INPUTS, 64, outputs, activation=nn.ReLU, ends=True), x)


@pytest.mark.parametrize("activation", [Tanh, nn.ReLU])
@pytest.mark.parametrize("sizes", [(INPUTS, 2), (INPUTS, 64, 64, 2)], ids=["one layer", "three"])
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_what_comes_in_and_what_was_kept_is_not_written_over(
    activation: type[nn.Module],
    sizes: tuple[int, ...],
    ends: bool,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    have_threads(monkeypatch, threads)
    layers = network(*sizes, activation=activation, ends=ends)
    y = in_blocks(layers, torch.randn(6144, INPUTS))
    assert y is not None
    gradient, wanted = torch.randn(y.shape), [*layers.parameters()]
    before = gradient.clone()
    first = torch.autograd.grad(y, wanted, gradient, retain_graph=True)
    assert torch.equal(gradient, before)
    torch.testing.assert_close(torch.autograd.grad(y, wanted, gradient), first, rtol=0, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_that_lie_apart(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    have_threads(monkeypatch, threads)
    layers, x = network(INPUTS, 64, 2), torch.randn(INPUTS, 6144).t()
    wanted = [*layers.parameters()]
    y, expected = in_blocks(layers, x), layers(x)
    assert y is not None
    for gradient in (torch.ones(()).expand(y.shape), torch.randn(2, 6144).t() / 6144):
        torch.testing.assert_close(
            torch.autograd.grad(y, wanted, gradient, retain_graph=True),
            torch.autograd.grad(expected, wanted, gradient, retain_graph=True),
            rtol=1e-3,
            atol=1e-4,
        )


@pytest.mark.parametrize("threads", [1, 2])
def test_many_gradients_at_once(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    have_threads(monkeypatch, threads)
    layers, x = network(INPUTS, 64, 64, 2, ends=True), torch.randn(6144, INPUTS)
    wanted = [*layers.parameters()]
    many = torch.randn(3, 6144, 2) / 6144
    found, expected = (
        torch.autograd.grad(y, wanted, many, is_grads_batched=True)
        for y in (in_blocks(layers, x), layers(x))
        if y is not None
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_rows_that_lie_apart() -> None:
    torch.manual_seed(0)
    x = torch.randn(INPUTS, LARGE).t()
    assert not x.is_contiguous()
    assert_same(network(INPUTS, 64, 2), x)


def test_a_layer_that_is_frozen_gets_no_gradient() -> None:
    layers, x = network(INPUTS, 64, 64, 2), torch.randn(LARGE, INPUTS)
    layers[2].requires_grad_(False)
    assert_same(layers, x)
    y = in_blocks(layers, x)
    assert y is not None
    y.sum().backward()
    frozen = [parameter.grad is None for parameter in layers.parameters()]
    assert frozen == [False, False, True, True, False, False]


def test_without_gradients() -> None:
    layers, x = network(INPUTS, 64, 2), torch.randn(LARGE, INPUTS)
    with torch.no_grad():
        y = in_blocks(layers, x)
        assert y is not None
        assert not y.requires_grad
        torch.testing.assert_close(y, layers(x))


def test_it_can_be_derived_twice() -> None:
    torch.manual_seed(0)
    layers, x = network(INPUTS, 64, 2), torch.randn(ROWS, INPUTS, requires_grad=True)

    def penalty(y: Tensor | None) -> tuple[Tensor, ...]:
        assert y is not None
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        # The bias of the last layer has no part in it.
        return torch.autograd.grad(slope.square().sum(), list(layers.parameters())[:-1])

    torch.testing.assert_close(penalty(in_blocks(layers, x)), penalty(layers(x)))


def test_a_layer_that_is_there_twice_has_the_gradient_of_both() -> None:
    torch.manual_seed(0)
    layers, x = network(INPUTS, INPUTS, INPUTS), torch.randn(ROWS, INPUTS)
    layers[2] = layers[0]

    def found(y: Tensor | None) -> tuple[Tensor, ...]:
        assert y is not None
        return torch.autograd.grad(y.square().mean(), list(layers.parameters()), create_graph=True)

    torch.testing.assert_close(found(in_blocks(layers, x)), found(layers(x)))


def test_it_stands_back_for_whoever_watches_all_modules() -> None:
    layers, x = network(INPUTS, 64, 2), torch.randn(LARGE, INPUTS)
    with register_module_forward_hook(lambda *_: None):
        assert in_blocks(layers, x) is None
    assert in_blocks(layers, x) is not None


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("threads", [1, 2])
def test_in_a_graph_it_is_cut_into_few_blocks(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_threads(monkeypatch, threads)
    torch.manual_seed(0)
    layers, x = network(INPUTS, 64, 2), torch.randn(20 * 2048, INPUTS)

    def function(x: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            y = in_blocks(layers, x)
            assert y is not None
            return [y.detach(), *gradients(y, *layers.parameters())]

    traced = make_fx(function, tracing_mode="fake", _allow_non_fake_inputs=True)(x)
    turned = [node for node in traced.graph.nodes if node.target is torch.ops.aten.tanh.default]
    assert len(turned) == 8
    found, expected = (
        Graph(function, [x])(x),
        [layers(x), *gradients(layers(x), *layers.parameters())],
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_a_length_that_varies_in_a_graph_is_left_to_the_layers() -> None:
    layers, x = network(INPUTS, 64, 2), torch.randn(LARGE, INPUTS)
    graph = Graph(lambda x: [found if (found := in_blocks(layers, x)) is not None else x], [x], [0])
    assert graph(x)[0].shape == x.shape
    assert graph.fits([x[:-7]])


LEFT_TO_THE_LAYERS: dict[str, Callable[[nn.Sequential], Any]] = {
    "another layer": lambda layers: layers.insert(1, nn.LayerNorm(64)),
    "another activation": lambda layers: layers.__setitem__(1, nn.GELU()),
    "an activation first": lambda layers: layers.insert(0, nn.Tanh()),
    "two activations": lambda layers: layers.insert(1, nn.Tanh()),
    "no bias": lambda layers: layers.__setitem__(0, nn.Linear(INPUTS, 64, bias=False)),
    "a hook": lambda layers: layers[1].register_forward_hook(lambda *_: None),
    "a hook before": lambda layers: layers[0].register_forward_pre_hook(lambda *_: None),
    "a hook of gradients": lambda layers: layers[0].register_full_backward_hook(lambda *_: None),
    "a parametrization": lambda layers: parametrizations.weight_norm(layers[0]),
    "double precision": lambda layers: layers[0].double(),
}


@pytest.mark.parametrize("change", LEFT_TO_THE_LAYERS.values(), ids=LEFT_TO_THE_LAYERS)
def test_what_it_does_not_know_is_left_to_the_layers(
    change: Callable[[nn.Sequential], Any],
) -> None:
    layers = network(INPUTS, 64, 2)
    change(layers)
    assert in_blocks(layers, torch.randn(LARGE, INPUTS)) is None


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(ROWS - 1, INPUTS),
        torch.randn(LARGE, 1, INPUTS),
        torch.randn(LARGE, INPUTS, dtype=torch.float64),
        torch.empty(LARGE, INPUTS, device="meta"),
        nn.Parameter(torch.randn(LARGE, INPUTS)),
    ],
    ids=["few rows", "not a matrix", "another type", "another device", "a subclass"],
)
def test_so_are_other_inputs(x: Tensor) -> None:
    assert in_blocks(network(INPUTS, 64, 2), x) is None


def test_so_are_transforms() -> None:
    layers, x = network(INPUTS, 64, 2), torch.randn(LARGE, INPUTS)
    refused = []

    def function(x: Tensor) -> Tensor:
        refused.append(in_blocks(layers, x) is None)
        result: Tensor = layers(x)
        return result

    torch.func.vmap(function)(x.expand(3, LARGE, INPUTS))
    torch.func.jvp(function, (x,), (x,))
    torch.func.grad(lambda x: function(x).sum())(x)
    with torch.autocast("cpu", torch.bfloat16):
        function(x)
    assert refused == [True] * 4
    assert in_blocks(layers, x) is not None


@pytest.mark.parametrize(
    ("threads", "width", "rows", "block", "lanes"),
    [
        (1, 64, 6144, 2048, 1),
        (2, 64, 6144, 4096, 2),
        (2, 64, 6145, 4096, 1),
        (3, 64, 6144, 6144, 3),
        (16, 64, ROWS, 32768, 1),
        (3, 1024, 6144, 513, 1),
        (1, 128, 6144, 1024, 1),
        (1, 1024, 6144, ROWS, 1),
    ],
)
def test_more_threads_share_larger_blocks_evenly(
    threads: int, width: int, rows: int, block: int, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Any] = []

    def forward(plan: Any, x: Tensor, *_: Any) -> Tensor:
        plans.append(plan)
        return x

    monkeypatch.setattr(blocks, "_forward", forward)
    have_threads(monkeypatch, threads)
    with torch.no_grad():
        in_blocks(network(INPUTS, width, 2), torch.randn(rows, INPUTS))
    assert [(plan.rows, plan.lanes) for plan in plans] == [(block, lanes)]
