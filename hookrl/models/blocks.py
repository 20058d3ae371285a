"""Perceptrons over many rows on a CPU, a block of rows at a time.

What a layer gives for thousands of rows does not fit the cache next to the processor, and fetching
it from further away takes the next operation longer than its arithmetic does. Here a block of rows
goes through all layers while it is near, there and back. Results are those of the layers to
rounding. Which way is taken depends on structure, shapes and the number of threads alone, so that
equal runs stay equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import torch.nn.modules.module as _for_all
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad

from hookrl.models.layers import Tanh, tanh

ROWS = 512
"""Rows from which on blocks are worth their operations, and of a block at least."""
_NUMBERS = 2**17
"""Of the widest layer, per thread, in a block of more rows: half a mebibyte."""
_MOST_TRACED = 8
"""Blocks in a graph, each of which takes its time to compile."""
_NARROW = 8
"""Outputs up to which a product is faster with the weight on its left."""


class _Activation(NamedTuple):
    of: Callable[[Tensor], Tensor]
    gradient: Callable[..., Tensor]
    """That of its input, given that of its result, and the result; with the keyword `grad_input` it
    is written there, which may be where that of the result is."""


def _relu_gradient(d: Tensor, y: Tensor, **where: Tensor) -> Tensor:
    gradient: Tensor = torch.ops.aten.threshold_backward(d, y, 0, **where)
    return gradient


_TANH = _Activation(tanh, torch.ops.aten.tanh_backward)
_ACTIVATIONS: dict[type[nn.Module], _Activation] = {
    Tanh: _TANH,
    nn.Tanh: _TANH,
    nn.ReLU: _Activation(torch.relu, _relu_gradient),
}
"""Those whose slope follows from their result."""


class _Plan(NamedTuple):
    """What is done to each block."""

    activations: Sequence[_Activation | None]
    """Of each linear layer."""
    rows: int
    """Of a block."""
    lanes: int
    """Parts of a block whose products are computed apart: one for each thread, or 1."""


def in_blocks(layers: Iterable[nn.Module], x: Tensor) -> Tensor | None:
    """Carry out linear layers, each perhaps with an activation after it, block by block.

    Args:
        layers: in their order.
        x: float32 ``[B, in_features]``.

    Returns:
        ``[B, out_features]``, or None where that is better left to the layers themselves: for few
        rows, on other devices and in other types, where somebody watches a layer or has put another
        kind in its place, and under the transforms of `torch.func` and `torch.compile`.
    """
    if not _is_large(x) or _is_transformed():
        return None
    linear, activations = _parsed(layers)
    if not linear:
        return None
    parameters = [p for layer in linear for p in (layer.weight, layer.bias)]
    if any(p.dtype != torch.float32 for p in parameters):
        return None
    plan = _Plan(activations, *_shares(x, max(layer.out_features for layer in linear)))
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *parameters)):
        result: Tensor = _InBlocks.apply(plan, x, *parameters)
        return result
    return _forward(plan, x, parameters)


def _shares(x: Tensor, width: int) -> tuple[int, int]:
    """Rows of a block, and its lanes, for layers of that width.

    A lane sums gradients of weights up by itself, so it must have more rows than these have.
    """
    threads = torch.get_num_threads()
    each = max(-(-ROWS // threads), _NUMBERS // width)
    if isinstance(x, FakeTensor):
        each = max(each, -(-len(x) // (_MOST_TRACED * threads)))
    even = len(x) % threads == 0 and min(each, len(x) // threads) >= width
    return threads * each, threads if even else 1


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, x: Tensor, *parameters: Tensor) -> Tensor:
        kept: list[Tensor] = []
        result = _forward(plan, x, parameters, kept)
        ctx.plan = plan
        ctx.save_for_backward(x, *parameters, *kept)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        plan, needed = ctx.plan, ctx.needs_input_grad[1:]
        number = 2 * len(plan.activations)
        parameters, kept = saved[:number], saved[number:]
        if torch.is_grad_enabled():  # somebody will derive this once more
            return None, *_derivable(plan, (x, *parameters), gradient, needed)
        return None, *_backward(plan, x, parameters[::2], kept, gradient, needs_input=needed[0])


def _forward(
    plan: _Plan, x: Tensor, parameters: Sequence[Tensor], kept: list[Tensor] | None = None
) -> Tensor:
    """The layers' result; `kept` receives what each layer gives, block by block."""
    pairs = zip(parameters[::2], parameters[1::2], strict=True)
    products = [_product(*pair, plan.lanes) for pair in pairs]
    results = []
    for y in x.split(plan.rows):
        for product, activation in zip(products, plan.activations, strict=True):
            y = product(y)
            if activation is not None:
                y = activation.of(y)
            if kept is not None:
                kept.append(y)
        results.append(y)
    return torch.cat(results)


def _product(weight: Tensor, bias: Tensor, lanes: int) -> Callable[[Tensor], Tensor]:
    """``x W^T + b`` in the order that MKL is fastest in."""
    if 1 < len(weight) <= _NARROW:
        column = bias.unsqueeze(1)
        return lambda x: torch.addmm(column, weight, x.t()).t()
    turned = weight.t().contiguous()
    if lanes == 1 or len(weight) == 1:
        return lambda x: torch.addmm(bias, x, turned)
    many = turned.expand(lanes, -1, -1)
    return lambda x: torch.baddbmm(bias, _in_lanes(x, lanes), many).flatten(0, 1)


def _in_lanes(x: Tensor, lanes: int) -> Tensor:
    """``[B, F]`` as ``[lanes, B / lanes, F]``.

    Of such a product MKL gives each thread a lane, as if it were alone. Threads that share a single
    product lay copies of it side by side first, which at these sizes takes a quarter of the time.
    """
    return x.view(lanes, len(x) // lanes, x.shape[1])


def _backward(
    plan: _Plan,
    x: Tensor,
    weights: Sequence[Tensor],
    kept: Sequence[Tensor],
    gradient: Tensor,
    *,
    needs_input: bool,
) -> list[Tensor | None]:
    """Gradients of the input, or None, and of each weight and bias in turn."""
    layers = len(weights)
    is_batched = _is_batched(gradient)
    sums = [_Sums(turned=2 * w.shape[1] <= w.shape[0], lanes=plan.lanes) for w in weights]
    of_input = []
    blocks = [*enumerate(zip(x.split(plan.rows), gradient.split(plan.rows), strict=True))]
    # What the last ones gave is still near.
    for number, (block, d) in reversed(blocks):
        results = kept[layers * number : layers * (number + 1)]
        inputs = [block, *results[:-1]]
        for place in reversed(range(layers)):
            activation = plan.activations[place]
            if activation is not None:
                # What was computed here is nobody else's, and writing over it is near.
                is_own = place < layers - 1 and not is_batched
                where = {"grad_input": d} if is_own else {}
                d = activation.gradient(d, results[place], **where)
            sums[place].add(inputs[place], d)
            if place or needs_input:
                d = _times(d, weights[place], plan.lanes)
        if needs_input:
            of_input.append(d)
    parameters = [part for one in sums for part in (one.weight, one.bias)]
    return [torch.cat(of_input[::-1]) if needs_input else None, *parameters]


def _times(x: Tensor, matrix: Tensor, lanes: int) -> Tensor:
    """``x @ matrix``."""
    if lanes == 1:
        return x @ matrix
    product = torch.bmm(_in_lanes(x, lanes), matrix.expand(lanes, -1, -1))
    return product.view(len(x), matrix.shape[1])


class _Sums:
    """Gradients of a layer's parameters, over the blocks so far.

    Args:
        turned: whether that of the weight is faster computed as its transpose: with few inputs
            MKL takes up to a quarter of the time for ``[inputs, B] @ [B, outputs]``.
        lanes: of the blocks; each has a sum of its own until it is asked for.
    """

    def __init__(self, *, turned: bool, lanes: int) -> None:
        self._turned = turned
        self._lanes = lanes
        self._weight: Tensor | None = None
        self._bias: Tensor | None = None

    def add(self, inputs: Tensor, d: Tensor) -> None:
        """Add those of a block.

        Args:
            inputs: what the layer received, ``[B, in]``.
            d: gradient of what it gave, ``[B, out]``.
        """
        if self._lanes > 1:
            inputs, d = _in_lanes(inputs, self._lanes), _in_lanes(d, self._lanes)
        left, right = (inputs, d) if self._turned else (d, inputs)
        if self._weight is None or self._bias is None:
            self._weight, self._bias = left.mT @ right, d.sum(-2)
        else:
            add_product = torch.addmm if self._lanes == 1 else torch.baddbmm
            self._weight = add_product(self._weight, left.mT, right)
            self._bias = self._bias + d.sum(-2)

    @property
    def weight(self) -> Tensor | None:
        """Of the weight, ``[out, in]``, laid out as it is."""
        weight = self._over_lanes(self._weight)
        return weight.t().contiguous() if self._turned and weight is not None else weight

    @property
    def bias(self) -> Tensor | None:
        """Of the bias, ``[out]``."""
        return self._over_lanes(self._bias)

    def _over_lanes(self, sums: Tensor | None) -> Tensor | None:
        return sums if sums is None or self._lanes == 1 else sums.sum(0)


def _derivable(
    plan: _Plan, tensors: Sequence[Tensor], gradient: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The same gradients layer by layer, which autograd can follow."""
    # Aliases: a layer that is there twice is to have the gradient of each place by itself.
    tensors = [tensor.view_as(tensor) for tensor in tensors]
    y, *parameters = tensors
    for weight, bias, activation in zip(
        parameters[::2], parameters[1::2], plan.activations, strict=True
    ):
        y = F.linear(y, weight, bias)
        if activation is not None:
            y = activation.of(y)
    wanted = [tensor for tensor, need in zip(tensors, needed, strict=True) if need]
    found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=True))
    return [next(found) if need else None for need in needed]


def _parsed(
    layers: Iterable[nn.Module],
) -> tuple[list[nn.Linear], list[_Activation | None]]:
    """Linear layers, and the activation after each; nothing where there is anything else."""
    linear: list[nn.Linear] = []
    activations: list[_Activation | None] = []
    for layer in layers:
        if _is_watched(layer):
            return [], []
        if type(layer) is nn.Linear and layer.bias is not None:
            linear.append(layer)
            activations.append(None)
        elif type(layer) in _ACTIVATIONS and activations and activations[-1] is None:
            activations[-1] = _ACTIVATIONS[type(layer)]
        else:
            return [], []
    return linear, activations


def _is_watched(layer: nn.Module) -> bool:
    """Whether somebody would notice that a layer is not called."""
    return bool(
        _for_all._global_forward_hooks
        or _for_all._global_forward_pre_hooks
        or _for_all._global_backward_hooks
        or _for_all._global_backward_pre_hooks
        or layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
    )


def _is_large(x: Tensor) -> bool:
    """Whether it is a matrix of many rows, and nothing but that; a symbol counts as few."""
    return (
        x.dim() == 2
        and type(x.shape[0]) is int
        and x.shape[0] >= ROWS
        and type(x) in (Tensor, FakeTensor)
        and x.dtype == torch.float32
        and x.device.type == "cpu"
    )


def _is_batched(gradient: Tensor) -> bool:
    """Whether it stands for many, as when a Jacobian is computed; nothing is written over these."""
    return torch._C._functorch.is_batchedtensor(
        gradient
    ) or torch._C._functorch.is_legacy_batchedtensor(gradient)


def _is_transformed() -> bool:
    """Whether what is computed here is not all that is to be known of it."""
    return (
        torch.compiler.is_compiling()
        or torch.is_autocast_enabled("cpu")
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
    )
