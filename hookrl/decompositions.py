"""Operations that a CPU does faster in another form, for graphs; each equals its own to rounding.

Which form is taken depends on layouts and shapes alone, so that equal runs stay equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_BOUND = 7.9
_NUMERATOR = (1.66210804e-08, 2.28471028e-05, 3.62797284e-03, 1.34916171e-01, 1.0)
_DENOMINATOR = (9.07506016e-07, 3.50442860e-04, 2.63777699e-02, 4.68249559e-01, 1.0)
"""Of the hyperbolic tangent over its argument, by the square of that."""


def tanh(x: Tensor) -> Tensor:
    """``x P(x²) / Q(x²)``, with coefficients for the least relative error up to a bound.

    In float32 it is within 4e-7 of the true value, is never above 1, and stays 3e-7 below it from
    the bound on. It takes half as long as a form with an exponential function, of which a captured
    PPO step on large batches would spend a fifth.
    """
    if x.dtype != torch.float32:
        return NotImplemented
    x = x.clamp(-_BOUND, _BOUND)
    square = x * x
    return x * _polynomial(_NUMERATOR, square) / _polynomial(_DENOMINATOR, square)


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """Its value at x by Horner's rule; coefficients from that of the highest power on."""
    highest, second, *others = coefficients
    result = x * highest + second
    for coefficient in others:
        result = result * x + coefficient
    return result


def mm(a: Tensor, b: Tensor) -> Tensor:
    """``(b^T a^T)^T`` where a is a transposed matrix and b is narrow: the gradient of a weight.

    MKL spends up to eight times as long on ``[64, batch] @ [batch, 4]`` as on
    ``[4, batch] @ [batch, 64]``; from half the width on it is the same.
    """
    rows, columns = a.shape[0], b.shape[1]
    fixed = isinstance(rows, int) and isinstance(columns, int)
    if fixed and a.stride() == (1, rows) and 1 < columns <= rows // 2:
        return torch.mm(b.t(), a.t()).t().contiguous()
    return NotImplemented


def addmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """A product, and a sum that is left to whoever reads it.

    The library first writes the bias to every row; a compiler adds it in the kernel that follows.
    """
    if beta == alpha == 1:
        # A difference: Inductor puts the sum of a product and a bias together again.
        return torch.mm(a, b) - (-bias)
    return NotImplemented


def baddbmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """The same of many matrices, where the bias is written to every row; else it is a sum."""
    if beta == alpha == 1 and bias.dim() < 3:
        return torch.bmm(a, b) + bias
    return NotImplemented


CPU: dict[Any, Callable[..., Tensor]] = {
    torch.ops.aten.tanh.default: tanh,
    torch.ops.aten.mm.default: mm,
    torch.ops.aten.addmm.default: addmm,
    torch.ops.aten.baddbmm.default: baddbmm,
}
"""By operation; one that returns NotImplemented leaves it as it is."""
