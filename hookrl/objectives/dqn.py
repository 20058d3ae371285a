"""The loss of deep Q-learning (Mnih et al., Nature 518, 2015)."""

from __future__ import annotations

from typing import Any

import torch
from tensordict.utils import NestedKey
from torch import Tensor, nn

from hookrl.errors import InvalidType
from hookrl.objectives.off_policy import OffPolicyLoss
from hookrl.objectives.target import frozen_copy
from hookrl.objectives.td import td_target, value_loss


class DQNLoss(OffPolicyLoss):
    """Distance of the values of actions taken to ``r + gamma * max over a' of Q_target(s', a')``.

    With `double` the trained network chooses a' and the target only judges it (van Hasselt et al.,
    arXiv:1509.06461). Values equal those of torchrl's loss of the same name, except that
    ``td_error`` is ``[B]`` and absolute, not squared, and that weights are not made to sum to one.

    Args:
        q_network: from observations to values ``[B, n]``, such as `hookrl.models.QNetwork`.
        gamma: discount per step.
        double: whether the trained network chooses the next action.
        loss_function: distance between values and targets: "l2" (without the factor 1/2),
            "smooth_l1" (Huber with a threshold of 1, the error clipping of the paper) or "l1".

    Raises:
        InvalidType: `q_network` is not a module, or is one for actions that are not discrete.
        InvalidValue: `gamma` outside [0, 1] or an unknown `loss_function`.
    """

    double_q: bool
    """Whether the trained network chooses the next action; modules have a method ``double``."""

    def __init__(
        self,
        q_network: nn.Module,
        *,
        gamma: float = 0.99,
        double: bool = True,
        loss_function: str = "l2",
    ) -> None:
        if not isinstance(q_network, nn.Module) or hasattr(q_network, "sample"):
            raise InvalidType(
                "DQNLoss expects a q_network from observations to one value per discrete action, "
                f"such as hookrl.models.QNetwork, got {type(q_network)}."
            )
        observation_keys: list[NestedKey] = getattr(q_network, "observation_keys", ["observation"])
        super().__init__(gamma, loss_function, observation_keys, ["action"])
        self.q_network = q_network
        self.target_network = frozen_copy(q_network)
        self.double_q = double
        self._start = int(getattr(getattr(q_network, "action_space", None), "start", 0))
        self.out_keys = ["loss_q", "q_value", "td_target"]

    def target_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """The Q-network and its target."""
        return [(self.q_network, self.target_network)]

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
        """Return ``loss_q``, and detached ``q_value``, ``td_target`` (means) and ``td_error``.

        Args are those of `hookrl.objectives.td.Transitions`.
        """
        index = self.index_of(action, self._start, reward.numel())
        value = self.q_network(observation).gather(-1, index).squeeze(-1)
        with torch.no_grad():
            next_values = self.target_network(next_observation)
            if self.double_q:
                choice = self.q_network(next_observation).argmax(-1, keepdim=True)
                next_value = next_values.gather(-1, choice).squeeze(-1)
            else:
                next_value = next_values.amax(-1)
            target = td_target(reward, terminated, next_value, self.gamma, steps_to_next_obs)
            td_error = (value - target).abs()
        return {
            "loss_q": value_loss(value, target, self.loss_function, weight),
            "q_value": value.detach().mean(),
            "td_target": target.mean(),
            "td_error": td_error,
        }
