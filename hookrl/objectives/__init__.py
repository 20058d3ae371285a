"""Losses and value estimators: tensors in, losses out."""

from hookrl.objectives.clip_ppo_loss import ClipPPOLoss, EvaluatesActions
from hookrl.objectives.gae import GAE, generalized_advantage_estimate
from hookrl.objectives.ppo import (
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    clipped_value_loss,
    explained_variance,
    normalized,
)
from hookrl.objectives.scan import linear_scan, reverse_linear_scan

__all__ = [
    "GAE",
    "ClipPPOLoss",
    "EvaluatesActions",
    "approximate_kl",
    "clip_fraction",
    "clipped_surrogate",
    "clipped_value_loss",
    "explained_variance",
    "generalized_advantage_estimate",
    "linear_scan",
    "normalized",
    "reverse_linear_scan",
]
