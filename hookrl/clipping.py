"""Gradients scaled to a norm, without what `torch.nn.utils` asks before.

For small networks sorting gradients by device and type takes longer than scaling them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_FLOOR = 1e-6
"""What torch adds to the norm that it divides by."""


@torch.no_grad()
def clip_to_norm(parameters: Sequence[Tensor], max_norm: float) -> Tensor:
    """Scale gradients by ``min(1, max_norm / norm)``, to the bit as torch's `clip_grad_norm_`.

    Args:
        parameters: those without a gradient are left out.
        max_norm: bound of the norm over all gradients together.

    Returns:
        The norm before, ``[]``.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    kinds = {(type(one), one.layout, one.dtype, one.device) for one in gradients}
    # Fake tensors, while a graph is traced, are left to torch too.
    if len(kinds) != 1 or kinds.pop()[:2] != (Tensor, torch.strided):
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (float(max_norm) / (norm + _FLOOR)).clamp(max=1.0))
    return norm
