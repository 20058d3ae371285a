"""A step of torch's fused Adam, without what `torch.optim` asks before each.

For small networks the checks of `torch.optim` take longer than the update. What it does between
them is done here, with its own kernel and its own state; whatever is not the plain case is left to
it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import _profiler_enabled
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

_ONE = torch.ones((), dtype=torch.float32, device="cpu")
"""A number would be made into a tensor for each count of steps."""

Tensors = list[Tensor]


def step_and_clear(optimizer: torch.optim.Optimizer) -> None:
    """Do ``optimizer.step()`` and ``optimizer.zero_grad()``.

    The numbers are the same to the bit. Hooks of the optimizer, schedulers that count its steps and
    profilers see what they always see; a method that somebody replaced in the class is not called.
    """
    updates = _updates(optimizer) if _is_plain(optimizer) else None
    if updates is None:
        optimizer.step()
        optimizer.zero_grad()
        return
    with torch.no_grad():
        for group, (parameters, gradients, means, squares, steps) in updates:
            beta1, beta2 = group["betas"]
            update = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
            torch._foreach_add_(steps, [_ONE] * len(steps))
            update(
                parameters,
                gradients,
                means,
                squares,
                [],
                steps,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=group["maximize"],
            )
            for parameter in parameters:
                parameter.grad = None


def _is_plain(optimizer: torch.optim.Optimizer) -> bool:
    """Whether nobody but the optimizer takes part in its step."""
    return (
        type(optimizer) in (torch.optim.Adam, torch.optim.AdamW)
        # A scheduler replaces the method to count the steps, a scaler of gradients adds numbers.
        and vars(optimizer).keys().isdisjoint(("step", "zero_grad", "grad_scale", "found_inf"))
        and not optimizer._optimizer_step_pre_hooks
        and not optimizer._optimizer_step_post_hooks
        and not _global_optimizer_pre_hooks
        and not _global_optimizer_post_hooks
        and not _profiler_enabled()
    )


def _updates(
    optimizer: torch.optim.Optimizer,
) -> list[tuple[dict[str, Any], tuple[Tensors, Tensors, Tensors, Tensors, Tensors]]] | None:
    """For each group its parameters that have gradients, these, and their state.

    None if the fused kernel for the host is not what is asked for.
    """
    state, updates = optimizer.state, []
    for group in optimizer.param_groups:
        beta1, beta2 = group["betas"]
        if (
            not group["fused"]
            or group["amsgrad"]
            or isinstance(beta1, Tensor)
            or isinstance(beta2, Tensor)
        ):
            return None
        parameters: Tensors = []
        gradients: Tensors = []
        means: Tensors = []
        squares: Tensors = []
        steps: Tensors = []
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is None:
                continue
            own = state.get(parameter)
            plain = parameter.dtype is torch.float32 and parameter.is_cpu
            if not own or not plain or gradient.is_sparse:
                return None
            parameters.append(parameter)
            gradients.append(gradient)
            means.append(own["exp_avg"])
            squares.append(own["exp_avg_sq"])
            steps.append(own["step"])
        if parameters:
            updates.append((group, (parameters, gradients, means, squares, steps)))
    return updates
