"""The clipped PPO loss over a minibatch: policy, value and entropy in one forward pass."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.utils import NestedKey
from torch import Tensor, nn

from hookrl.errors import InvalidType, InvalidValue
from hookrl.objectives import ppo
from hookrl.objectives.arguments import DISTANCES, check_distance, check_number
from hookrl.objectives.entries import read_entry
from hookrl.tensordicts import assembled


@runtime_checkable
class EvaluatesActions(Protocol):
    """What the loss asks of a network; `hookrl.models.ActorCritic` has it."""

    observation_keys: list[NestedKey]
    """The observations it reads, as (nested) keys of the batch."""
    action_keys: list[NestedKey]
    """The actions it judges, as (nested) keys of the batch."""

    def evaluate_actions(
        self, observation: Tensor | TensorDictBase, action: Tensor | TensorDictBase
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probability ``[B]`` and entropy ``[B]`` of the policy, value ``[B, 1]``."""


class ClipPPOLoss(nn.Module):
    """Clipped surrogate, value loss and entropy bonus (eq. 9 of arXiv:1707.06347).

    Entries and definitions are those of torchrl's loss of the same name, with two differences:
    ``kl_approx`` is the k3 estimator, which is never negative, and defaults are PPO's customary
    ones. The coefficients are plain attributes and may be changed between steps; a captured step
    has to be captured again to notice.

    Args:
        actor_critic: policy and value function, trained by this loss.
        clip_epsilon: how far the probability ratio may move before the gain stops growing.
        entropy_coeff: weight of the entropy bonus.
        critic_coeff: weight of the value loss.
        loss_critic_type: distance between values and targets: "l2" (without the factor 1/2),
            "smooth_l1" or "l1".
        normalize_advantage: standardise advantages within each minibatch.
        clip_value: how far values may move from those of the batch, in units of the return; None
            for as far as they like, which Andrychowicz et al. (arXiv:2006.05990) found no worse.

    Raises:
        InvalidType: `actor_critic` has no ``evaluate_actions``.
        InvalidValue: a negative coefficient, or an unknown `loss_critic_type`.
    """

    in_keys: list[NestedKey]
    """What is read from the minibatch."""
    out_keys: list[NestedKey]
    """What the result holds."""

    def __init__(
        self,
        actor_critic: nn.Module,
        *,
        clip_epsilon: float = 0.2,
        entropy_coeff: float = 0.01,
        critic_coeff: float = 1.0,
        loss_critic_type: str = "l2",
        normalize_advantage: bool = True,
        clip_value: float | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(actor_critic, EvaluatesActions):
            raise InvalidType(
                "ClipPPOLoss expects an actor_critic with evaluate_actions(), observation_keys "
                f"and action_keys, such as hookrl.models.ActorCritic, got {type(actor_critic)}."
            )
        check_number("ClipPPOLoss", "clip_epsilon", clip_epsilon, positive=True)
        check_number("ClipPPOLoss", "entropy_coeff", entropy_coeff)
        check_number("ClipPPOLoss", "critic_coeff", critic_coeff)
        if clip_value is not None:
            check_number("ClipPPOLoss", "clip_value", clip_value, positive=True)
        check_distance("ClipPPOLoss", "loss_critic_type", loss_critic_type)
        self.actor_critic = actor_critic
        self.clip_epsilon = clip_epsilon
        self.entropy_coeff = entropy_coeff
        self.critic_coeff = critic_coeff
        self.loss_critic_type = loss_critic_type
        self.normalize_advantage = normalize_advantage
        self.clip_value = clip_value
        self.in_keys = [
            *actor_critic.observation_keys,
            *actor_critic.action_keys,
            "action_log_prob",
            "advantage",
            "value_target",
        ]
        self.out_keys = ["loss_objective", "loss_critic", "loss_entropy"]
        self.out_keys += ["entropy", "kl_approx", "clip_fraction"]
        if clip_value is not None:
            self.in_keys.append("state_value")
            self.out_keys.append("value_clip_fraction")

    def forward(self, tensordict: TensorDictBase) -> TensorDict:
        """Losses of a minibatch.

        Args:
            tensordict: batch size ``[B]``, with ``observation``, ``action``, ``action_log_prob``
                ``[B]``, ``advantage`` and ``value_target`` ``[B, 1]``, and ``state_value``
                ``[B, 1]`` when values are clipped. It is not changed.

        Returns:
            Entries of shape ``[]``: `out_keys`, of which those that start with ``loss_`` are to
            be summed and minimised and the others are detached.

        Raises:
            MissingKey: one of `in_keys` is not in the minibatch.
            InvalidValue: log-probabilities or value targets of another shape.
        """

        def read(key: str) -> Tensor:
            entry: Tensor = read_entry(tensordict, key, "ClipPPOLoss")
            return entry

        terms = self.terms(
            read("observation"),
            read("action"),
            read("action_log_prob"),
            read("advantage"),
            read("value_target"),
            None if self.clip_value is None else read("state_value"),
        )
        return assembled(terms, torch.Size())

    def terms(
        self,
        observation: Tensor | TensorDictBase,
        action: Tensor | TensorDictBase,
        action_log_prob: Tensor,
        advantage: Tensor,
        value_target: Tensor,
        state_value: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The same on plain tensors, for a step that is captured or functional."""
        log_prob, entropies, value = self.actor_critic.evaluate_actions(observation, action)
        # Shapes that merely broadcast would train on B² pairs without a word.
        if log_prob.shape != action_log_prob.shape or value.shape != value_target.shape:
            raise InvalidValue(
                f"ClipPPOLoss expects action_log_prob {tuple(log_prob.shape)} and value_target "
                f"{tuple(value.shape)}, got {tuple(action_log_prob.shape)} and "
                f"{tuple(value_target.shape)}."
            )
        advantage = advantage.reshape(log_prob.shape)
        if self.normalize_advantage:
            advantage = ppo.normalized(advantage)
        log_ratio = log_prob - action_log_prob
        ratio = log_ratio.exp()
        gain = ppo.clipped_surrogate(ratio, advantage, self.clip_epsilon)
        entropy = entropies.mean()
        terms = {
            "loss_objective": -gain.mean(),
            "loss_entropy": entropy * -self.entropy_coeff,
            "entropy": entropy.detach(),
        }
        if self.clip_value is None or state_value is None:
            distance = DISTANCES[self.loss_critic_type]
            loss_critic = distance(value, value_target)
        else:
            loss_critic, terms["value_clip_fraction"] = ppo.clipped_value_loss(
                value, value_target, state_value, self.clip_value, self.loss_critic_type
            )
        terms["loss_critic"] = loss_critic * self.critic_coeff
        with torch.no_grad():
            terms["kl_approx"] = ppo.approximate_kl(log_ratio)
            terms["clip_fraction"] = ppo.clip_fraction(ratio, self.clip_epsilon)
        return terms
