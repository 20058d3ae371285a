"""Operations that a CPU does faster in another form, for graphs; each equals its own to rounding.

Which form is taken depends on layouts and shapes alone, so that equal runs stay equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def tanh(x: Tensor) -> Tensor:
    """``(1 - t) / (1 + t)`` with ``t = exp(-2 |x|)``, and the sign of x.

    A third of the time of the library's, of which a captured PPO step on large batches would spend
    a fifth; in float32 both are within 1e-7 of the true value.
    """
    t = torch.exp(-2 * x.abs())
    magnitude = (1 - t) / (1 + t)
    return torch.where(x < 0, -magnitude, magnitude)


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


CPU: dict[Any, Callable[..., Tensor]] = {
    torch.ops.aten.tanh.default: tanh,
    torch.ops.aten.mm.default: mm,
    torch.ops.aten.addmm.default: addmm,
}
"""By operation; one that returns NotImplemented leaves it as it is."""
