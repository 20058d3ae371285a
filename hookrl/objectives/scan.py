"""First-order linear recurrences over time in log2(T) whole-array steps.

A loop over T costs one dispatch per time step, which for a rollout of 128 steps is more than the
arithmetic; doubling (Hillis & Steele, "Data parallel algorithms", 1986) needs seven rounds instead.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reverse_linear_scan(decay: Tensor, x: Tensor, dim: int = -2) -> Tensor:
    """Solve ``y_t = x_t + decay_t * y_{t+1}`` backwards over time, with ``y_T = 0``.

    Args:
        decay: floating point, of the shape of `x` or expandable to it.
        x: floating point, any shape; time is dimension `dim`.
        dim: the time dimension, by default that of ``[envs, time, 1]``.

    Returns:
        A new tensor of the shape of `x`; the inputs are left as they are. Differentiable.
    """
    decay, y = decay.expand_as(x), x
    length = y.shape[dim]
    span = 1
    while span < length:
        # Here y_t covers the terms t … t+span-1, and decay_t is the product of as many decays.
        rest = length - span
        reached, complete = y.narrow(dim, 0, rest), y.narrow(dim, rest, span)
        beyond = decay.narrow(dim, 0, rest) * y.narrow(dim, span, rest)
        y = torch.cat([reached + beyond, complete], dim)
        if rest > span:  # another round follows, over the first rest - span steps
            decay = decay.narrow(dim, 0, rest - span) * decay.narrow(dim, span, rest - span)
        span *= 2
    return y.clone() if length < 2 else y


def linear_scan(decay: Tensor, x: Tensor, initial: Tensor | None = None, dim: int = -2) -> Tensor:
    """Solve ``y_t = x_t + decay_t * y_{t-1}`` forwards over time, with ``y_{-1} = initial``.

    Args:
        decay: floating point, of the shape of `x` or expandable to it.
        x: floating point, any shape; time is dimension `dim`.
        initial: the value before the first step, of the shape of `x` with 1 at `dim`; 0 if None.
        dim: the time dimension, by default that of ``[envs, time, 1]``.

    Returns:
        A new tensor of the shape of `x`; the inputs are left as they are. Differentiable.
    """
    decay = decay.expand_as(x)
    if initial is not None and x.shape[dim]:
        first, rest = x.narrow(dim, 0, 1), x.narrow(dim, 1, x.shape[dim] - 1)
        x = torch.cat([first + decay.narrow(dim, 0, 1) * initial, rest], dim)
    return reverse_linear_scan(decay.flip(dim), x.flip(dim), dim).flip(dim)
