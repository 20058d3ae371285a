"""The frame of losses on sampled transitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.utils import NestedKey
from torch import Tensor, nn

from hookrl.errors import InvalidValue
from hookrl.objectives.arguments import check_distance, check_number
from hookrl.objectives.target import soft_update
from hookrl.objectives.td import TD_ERROR_KEY, read_transitions
from hookrl.tensordicts import assembled, put


class OffPolicyLoss(nn.Module):
    """Reads transitions, hands them to `terms` and writes the temporal differences back.

    Args:
        gamma: discount per step.
        loss_function: distance between values and targets: "l2" (without the factor 1/2),
            "smooth_l1" (Huber with a threshold of 1) or "l1".
        observation_keys: the batch entries that hold an observation.
        action_keys: the batch entries that hold an action.

    Raises:
        InvalidValue: `gamma` outside [0, 1] or an unknown `loss_function`.
    """

    gamma: float
    """Discount per step; may be changed between steps."""
    in_keys: list[NestedKey]
    """What is read from the batch."""
    out_keys: list[NestedKey]
    """What the result holds."""

    def __init__(
        self,
        gamma: float,
        loss_function: str,
        observation_keys: list[NestedKey],
        action_keys: list[NestedKey],
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_number(owner, "gamma", gamma, at_most=1.0)
        check_distance(owner, "loss_function", loss_function)
        self.gamma = gamma
        self.loss_function = loss_function
        self.in_keys = [
            *observation_keys,
            *action_keys,
            *(("next", *((key,) if isinstance(key, str) else key)) for key in observation_keys),
            ("next", "reward"),
            ("next", "terminated"),
        ]
        self.out_keys = []

    def target_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each trained network with the frozen copy that follows it."""
        raise NotImplementedError

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that are trained; those of the targets, which only follow, are not among them.

        So ``parameters()`` may be handed to an optimizer as it is. State and device are still those
        of all.
        """
        frozen = {id(p) for _, target in self.target_pairs() for p in target.parameters()}
        for name, parameter in super().named_parameters(*args, **kwargs):
            if id(parameter) not in frozen:
                yield name, parameter

    def update_targets(self, tau: float = 1.0) -> None:
        """Move the targets towards their networks; the default copies them.

        Raises:
            InvalidValue: `tau` outside (0, 1].
        """
        for source, target in self.target_pairs():
            soft_update(source, target, tau)

    def forward(self, tensordict: TensorDictBase) -> TensorDict:
        """Losses of a batch of transitions.

        Args:
            tensordict: batch size ``[B]``, with `in_keys` and, where they apply,
                ``steps_to_next_obs`` (n-step returns) and ``_weight`` or ``priority_weight``
                (prioritized replay), ``[B]`` or ``[B, 1]`` each. It gains ``td_error`` ``[B]``,
                absolute and detached.

        Returns:
            Entries of shape ``[]``: `out_keys`, of which those that start with ``loss_`` are to
            be minimised and the others are detached.

        Raises:
            MissingKey: one of `in_keys` is not in the batch.
            InvalidValue: entries of shapes that don't fit.
        """
        transitions = read_transitions(tensordict, type(self).__name__)
        terms = self.terms(*transitions, **self.noise(tensordict))
        put(tensordict, TD_ERROR_KEY, terms.pop(TD_ERROR_KEY))
        return assembled(terms, torch.Size())

    def noise(self, tensordict: TensorDictBase) -> dict[str, Tensor]:
        """Random numbers that `terms` takes besides the transitions, by argument; none here."""
        return {}

    def terms(
        self,
        observation: Any,
        action: Tensor,
        next_observation: Any,
        reward: Tensor,
        terminated: Tensor,
        steps_to_next_obs: Tensor | None = None,
        weight: Tensor | None = None,
        **noise: Tensor,
    ) -> dict[str, Tensor]:
        """The same on plain tensors, for a step that is captured or functional.

        Args are those of `hookrl.objectives.td.Transitions`; the result holds ``td_error`` too.
        """
        raise NotImplementedError

    def index_of(self, action: Tensor, start: int, size: int) -> Tensor:
        """Indices ``[B, 1]`` of discrete actions counted from `start`.

        Raises:
            InvalidValue: actions other than one integer per transition.
        """
        if action.numel() != size or action.is_floating_point():
            raise InvalidValue(
                f"{type(self).__name__} expects actions as one integer per transition, got "
                f"{action.dtype} of shape {tuple(action.shape)} for {size} transitions."
            )
        index = action.reshape(size, 1)
        return index - start if start else index
