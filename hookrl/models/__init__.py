"""Networks and policies, built from gymnasium spaces."""

from hookrl.models.acting import Actor, NumpyActor, TorchActor
from hookrl.models.actor_critic import ActorCritic
from hookrl.models.cnn import NatureCNN
from hookrl.models.distributions import (
    ActionDistribution,
    Categorical,
    Composite,
    DiagonalGaussian,
    MultiCategorical,
    distribution_for,
)
from hookrl.models.encoders import (
    DictEncoder,
    FlattenEncoder,
    OneHotEncoder,
    encoder_for,
)
from hookrl.models.mlp import ACTIVATIONS, MLP
from hookrl.models.spaces import leaf_keys

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "ActionDistribution",
    "Actor",
    "ActorCritic",
    "Categorical",
    "Composite",
    "DiagonalGaussian",
    "DictEncoder",
    "FlattenEncoder",
    "MultiCategorical",
    "NatureCNN",
    "NumpyActor",
    "OneHotEncoder",
    "TorchActor",
    "distribution_for",
    "encoder_for",
    "leaf_keys",
]
