"""Temporal differences on sampled transitions: what DQN and SAC have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

from tensordict import TensorDictBase
from torch import Tensor

from hookrl.errors import InvalidValue
from hookrl.objectives.arguments import DISTANCES
from hookrl.objectives.entries import read_entry
from hookrl.tensordicts import entry

STEPS_KEY = "steps_to_next_obs"
"""Optional entry: how many steps the reward sums up, as torchrl's n-step transform names it."""
WEIGHT_KEYS = ("_weight", "priority_weight")
"""Optional entry: importance weight of each transition, by hookrl's and torchrl's name."""
TD_ERROR_KEY = "td_error"
"""Entry that losses write, which prioritized replay reads."""


class Transitions(NamedTuple):
    """A batch of transitions; what is one number each comes without an axis of its own."""

    observation: Any
    """``[B, *shape]``, or nested."""
    action: Tensor
    """``[B, *shape]``."""
    next_observation: Any
    """``[B, *shape]``, or nested."""
    reward: Tensor
    """``[B]``."""
    terminated: Tensor
    """``[B]``, bool."""
    steps_to_next_obs: Tensor | None
    """``[B]``, steps between the two observations; None for 1."""
    weight: Tensor | None
    """``[B]``, importance weights; None for 1."""


def read_transitions(tensordict: TensorDictBase, reader: str) -> Transitions:
    """Take the entries out of a batch.

    Args:
        tensordict: batch size ``[B]``.
        reader: who reads, for the error texts.

    Raises:
        MissingKey: an entry is not there.
        InvalidValue: a batch of another number of axes, or an entry that has more than one number
            per transition where one is expected.
    """
    if tensordict.batch_dims != 1:
        raise InvalidValue(
            f"{reader} expects transitions of batch size [B], got {list(tensordict.batch_size)}: "
            "flatten them."
        )
    size = tensordict.batch_size.numel()

    def scalars(key: Any, value: Any) -> Tensor:
        if value.numel() != size:
            raise InvalidValue(
                f"{reader} expects {key} with one number per transition, got "
                f"{tuple(value.shape)} for {size} transitions."
            )
        numbers: Tensor = value.reshape(size)
        return numbers

    def required(key: Any) -> Tensor:
        return scalars(key, read_entry(tensordict, key, reader))

    def optional(*keys: str) -> Tensor | None:
        for key in keys:
            value = entry(tensordict, (key,))
            if value is not None:
                return scalars(key, value)
        return None

    return Transitions(
        observation=read_entry(tensordict, "observation", reader),
        action=read_entry(tensordict, "action", reader),
        next_observation=read_entry(tensordict, ("next", "observation"), reader),
        reward=required(("next", "reward")),
        terminated=required(("next", "terminated")),
        steps_to_next_obs=optional(STEPS_KEY),
        weight=optional(*WEIGHT_KEYS),
    )


def td_target(
    reward: Tensor,
    terminated: Tensor,
    next_value: Tensor,
    gamma: float,
    steps_to_next_obs: Tensor | None = None,
) -> Tensor:
    """``r + gamma^n * V(s') * (1 - terminated)``.

    A step that was merely cut short by a time limit is bootstrapped like any other (Pardo et al.,
    arXiv:1712.00378).

    Args:
        reward: ``[B]``; with n steps the discounted sum of theirs.
        terminated: ``[B]``, bool: ``s'`` is a terminal state.
        next_value: ``[B]``, value of the observation that the last of the steps led to.
        gamma: discount per step.
        steps_to_next_obs: n of each transition, ``[B]``; None for 1.

    Returns:
        ``[B]``.
    """
    # Filled, not multiplied: the value of a terminal state may be anything, infinite too.
    future = next_value.masked_fill(terminated, 0.0)
    if steps_to_next_obs is None:
        return reward.add(future, alpha=gamma)
    return reward + gamma ** steps_to_next_obs.to(reward.dtype) * future


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """``mean(w_i * x_i)`` over the last axis, as in algorithm 1 of arXiv:1511.05952.

    torchrl divides by the sum of the weights instead of their number, which undoes the scaling by
    the largest weight.

    Args:
        values: ``[..., B]``.
        weight: ``[B]``, or None for the plain mean.
    """
    return values.mean(-1) if weight is None else (values * weight).mean(-1)


def value_loss(value: Tensor, target: Tensor, loss_function: str, weight: Tensor | None) -> Tensor:
    """Distance of values to their common targets: mean over the batch, summed over critics.

    Args:
        value: ``[B]``, or ``[num_critics, B]``.
        target: ``[B]``.
        loss_function: a key of `hookrl.objectives.arguments.DISTANCES`.
        weight: ``[B]``, or None.
    """
    distance = DISTANCES[loss_function]
    targets = target.expand_as(value)
    if weight is None:
        loss = distance(value, targets)
        return loss if value.ndim == 1 else loss * len(value)
    return weighted_mean(distance(value, targets, reduction="none"), weight).sum()
