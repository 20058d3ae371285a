"""The hyperbolic tangent, in the form that is fastest on the processor at hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_ELEMENTS = 2**15
"""From which on the other form is worth the operations that it takes."""
_LIBRARY_IS_SLOW = "Intel" not in torch.cpu.get_capabilities().get("cpu_name", "")
"""MKL's takes six times as long as torch's logistic function where the processor is not Intel's."""


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent of each element, by the logistic function where that is faster.

    ``tanh(x) = 2 / (1 + exp(-2 x)) - 1``, within 2e-7 of the true value in float32, is taken for
    large tensors on processors for which the library's is slow. Stand-ins, on which graphs are
    traced, are left to the compiler, which has a form of its own.
    """
    plain = type(x) is Tensor and x.dtype == torch.float32 and x.device.type == "cpu"
    if _LIBRARY_IS_SLOW and plain and x.numel() >= _ELEMENTS:
        result: Tensor = _LogisticTanh.apply(x)
        return result
    return torch.tanh(x)


class Tanh(nn.Tanh):
    """`torch.nn.Tanh` by `tanh`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the hyperbolic tangent of each element."""
        return tanh(input)


class _LogisticTanh(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return (2 * x).sigmoid_().mul_(2).sub_(1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        result: Tensor = torch.ops.aten.tanh_backward(gradient, output)
        return result

    jvp = backward  # it goes element by element
