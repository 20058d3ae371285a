"""The terms of proximal policy optimisation, as functions of plain tensors.

Sources: Schulman et al., "Proximal policy optimization algorithms", arXiv:1707.06347 (PPO);
Huang et al., "The 37 implementation details of PPO", ICLR blog track 2022 (details).
`ClipPPOLoss` puts them together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hookrl.objectives.arguments import DISTANCES


def normalized(advantage: Tensor) -> Tensor:
    """Standardise: ``(A - mean(A)) / std(A)`` with the unbiased std (details, core 7).

    Args:
        advantage: floating point, any shape. A single element has no spread and is returned as is.

    Returns:
        A tensor of the same shape.
    """
    if advantage.numel() < 2:
        return advantage
    std, mean = torch.std_mean(advantage)
    # The floor is torchrl's; peers add 1e-8 instead. It matters for constant advantages only.
    return (advantage - mean) / std.clamp_min(1e-6)


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip_epsilon: float) -> Tensor:
    """Per-sample gain ``min(r A, clip(r, 1-ε, 1+ε) A)`` (PPO eq. 7), to be maximised.

    Whatever the sign of A it equals ``min(r A, A + ε|A|)``, whose second term is constant: one
    operation that needs a gradient instead of three.

    Args:
        ratio: ``[B]``, new over old probability of the action taken.
        advantage: ``[B]``, without gradient.
        clip_epsilon: distance from 1 beyond which moving the ratio further gains nothing.

    Returns:
        ``[B]``.
    """
    return (ratio * advantage).clamp(max=torch.add(advantage, advantage.abs(), alpha=clip_epsilon))


def clipped_value_loss(
    value: Tensor,
    value_target: Tensor,
    old_value: Tensor,
    clip_value: float,
    loss_critic_type: str = "l2",
) -> tuple[Tensor, Tensor]:
    """Mean of ``max(d(V, R), d(V_old + clip(V - V_old, -c, c), R))`` (details, core 9).

    Args:
        value: ``[B, 1]``, the live values V.
        value_target: ``[B, 1]``, R.
        old_value: ``[B, 1]``, the values when the batch was collected.
        clip_value: c, in the units of the return.
        loss_critic_type: the distance d, a key of `hookrl.objectives.arguments.DISTANCES`.

    Returns:
        The loss and the share of values that were clipped, both ``[]``, the latter detached.
    """
    distance = DISTANCES[loss_critic_type]
    change = value - old_value
    clipped = change.clamp(-clip_value, clip_value)
    loss = torch.maximum(
        distance(value, value_target, reduction="none"),
        distance(old_value + clipped, value_target, reduction="none"),
    ).mean()
    return loss, (clipped != change).mean(dtype=loss.dtype)


def approximate_kl(log_ratio: Tensor) -> Tensor:
    """Mean of ``(r - 1) - log r``, an unbiased estimate of KL(old ‖ new) that is never negative.

    This is k3 of Schulman, "Approximating KL divergence" (2020), with r = new / old.

    Args:
        log_ratio: ``[B]``, log r.

    Returns:
        ``[]``.
    """
    # expm1 keeps the digits that exp(x) - 1 loses where the policies are close.
    return (log_ratio.expm1() - log_ratio).mean()


def clip_fraction(ratio: Tensor, clip_epsilon: float) -> Tensor:
    """Share of samples with ``|r - 1| > ε``.

    Args:
        ratio: ``[B]``.
        clip_epsilon: ε.

    Returns:
        ``[]``, of the dtype of `ratio`.
    """
    return ((ratio - 1.0).abs() > clip_epsilon).mean(dtype=ratio.dtype)


def explained_variance(state_value: Tensor, value_target: Tensor) -> Tensor:
    """``1 - Var(target - value) / Var(target)``: 1 is perfect, 0 no better than a constant.

    For targets that don't vary the quotient means nothing; as in scikit-learn the result is then
    1 if the values miss them by a constant, 0 otherwise, so it is finite and can be logged.

    Args:
        state_value: any shape, floating point.
        value_target: the same shape.

    Returns:
        ``[]``.
    """
    residual = (value_target - state_value).var(correction=0)
    total, mean = torch.var_mean(value_target, correction=0)
    resolution = torch.finfo(value_target.dtype)
    # A spread below what the dtype resolves at this magnitude is rounding, not variance.
    floor = (resolution.eps * mean).square() + resolution.tiny**0.5
    constant = (residual <= floor).to(value_target.dtype)
    return torch.where(total > floor, 1.0 - residual / torch.maximum(total, floor), constant)
