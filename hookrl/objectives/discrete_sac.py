"""The losses of soft actor-critic for discrete actions (Christodoulou, arXiv:1910.07207)."""

from __future__ import annotations

import math
from typing import Any

import torch
from tensordict.utils import NestedKey
from torch import Tensor, nn

from hookrl.errors import InvalidType
from hookrl.objectives.sac import (
    EntropyRegularizedLoss,
    SamplesActions,
    checked_target_entropy,
)
from hookrl.objectives.td import td_target

TARGET_ENTROPY_SHARE = 0.98
"""Of the largest entropy that there is, log n; from the paper's code."""


class DiscreteSACLoss(EntropyRegularizedLoss):
    """Critics, policy and temperature of soft actor-critic for discrete actions.

    All expectations over actions are exact (eqs. 10 to 12), so that nothing is drawn. Values and
    gradients equal those of torchrl's loss of the same name, except that importance weights are not
    made to sum to one.

    Args:
        policy: from observations to logits ``[B, n]``, such as `hookrl.models.CategoricalPolicy`.
        critics: from observations to ``[num_critics, B, n]``, such as `hookrl.models.TwinCritics`.
        gamma: discount per step.
        alpha_init: initial temperature; what it is for good where `fixed_alpha`.
        target_entropy: entropy to aim at; "auto" for 0.98 times the largest, which takes a policy
            that knows its ``action_space``. Many tasks learn better with less.
        fixed_alpha: whether the temperature stays as it is; there is no ``loss_alpha`` then.
        loss_function: distance between values and targets: "l2" (without the factor 1/2),
            "smooth_l1" or "l1".

    Raises:
        InvalidType: a policy that is no module, or one for continuous actions.
        InvalidValue: a number out of range, or an unknown `loss_function` or `target_entropy`.
    """

    def __init__(
        self,
        policy: nn.Module,
        critics: nn.Module,
        *,
        gamma: float = 0.99,
        alpha_init: float = 1.0,
        target_entropy: float | str = "auto",
        fixed_alpha: bool = False,
        loss_function: str = "l2",
    ) -> None:
        n = getattr(getattr(policy, "action_space", None), "n", None)
        unknown = n is None and target_entropy == "auto"
        if not isinstance(policy, nn.Module) or isinstance(policy, SamplesActions) or unknown:
            raise InvalidType(
                "DiscreteSACLoss expects a policy for Discrete actions, such as "
                f"hookrl.models.CategoricalPolicy, got {type(policy)}; SACLoss is for those of a "
                "Box."
            )
        automatic = TARGET_ENTROPY_SHARE * math.log(1 if n is None else int(n))
        observation_keys: list[NestedKey] = getattr(policy, "observation_keys", ["observation"])
        super().__init__(
            policy,
            critics,
            observation_keys,
            checked_target_entropy(type(self).__name__, target_entropy, automatic),
            gamma=gamma,
            alpha_init=alpha_init,
            fixed_alpha=fixed_alpha,
            loss_function=loss_function,
        )
        self._start = int(getattr(getattr(policy, "action_space", None), "start", 0))

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
        """Return the losses, the diagnostics and ``td_error``, the largest of the critics'.

        Args are those of `hookrl.objectives.td.Transitions`.
        """
        values = self.checked_values(self.critics(observation), len(reward), "n")
        alpha = self.alpha()
        with torch.no_grad():
            next_log_probs = self.policy(next_observation).log_softmax(-1)
            next_values = self.target_critics(next_observation).amin(0)
            soft_values = next_values - alpha * next_log_probs
            next_value = (next_log_probs.exp() * soft_values).sum(-1)
            target = td_target(reward, terminated, next_value, self.gamma, steps_to_next_obs)
        index = self.index_of(action, self._start, reward.numel())
        value = values.gather(-1, index.expand(len(values), -1, 1)).squeeze(-1)
        log_probs = self.policy(observation).log_softmax(-1)
        probs = log_probs.exp()
        # The critics' values serve both: the policy's objective holds them fixed.
        objective = (probs * (alpha * log_probs - values.detach().amin(0))).sum(-1)
        entropy = -(probs * log_probs).sum(-1).detach()
        return self.assemble(value, target, objective, entropy, alpha, weight)
