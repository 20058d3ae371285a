"""Losses and value estimators: tensors in, losses out."""

from hookrl.objectives.clip_ppo_loss import ClipPPOLoss, EvaluatesActions
from hookrl.objectives.discrete_sac import DiscreteSACLoss
from hookrl.objectives.dqn import DQNLoss
from hookrl.objectives.gae import GAE, generalized_advantage_estimate
from hookrl.objectives.off_policy import OffPolicyLoss
from hookrl.objectives.ppo import (
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    clipped_value_loss,
    explained_variance,
    normalized,
)
from hookrl.objectives.sac import SACLoss, SamplesActions
from hookrl.objectives.scan import linear_scan, reverse_linear_scan
from hookrl.objectives.target import frozen_copy, hard_update, soft_update
from hookrl.objectives.td import td_target

__all__ = [
    "GAE",
    "ClipPPOLoss",
    "DQNLoss",
    "DiscreteSACLoss",
    "EvaluatesActions",
    "OffPolicyLoss",
    "SACLoss",
    "SamplesActions",
    "approximate_kl",
    "clip_fraction",
    "clipped_surrogate",
    "clipped_value_loss",
    "explained_variance",
    "frozen_copy",
    "generalized_advantage_estimate",
    "hard_update",
    "linear_scan",
    "normalized",
    "reverse_linear_scan",
    "soft_update",
    "td_target",
]
