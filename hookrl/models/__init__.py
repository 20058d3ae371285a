"""Networks and policies, built from gymnasium spaces."""

from hookrl.models.acting import Actor, NumpyActor, TorchActor
from hookrl.models.actor_critic import ActorCritic
from hookrl.models.categorical_policy import CategoricalPolicy
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
from hookrl.models.epsilon_greedy import EpsilonGreedy
from hookrl.models.mlp import ACTIVATIONS, MLP
from hookrl.models.policy import PolicyNetwork
from hookrl.models.q_network import QNetwork
from hookrl.models.spaces import leaf_keys
from hookrl.models.squashed_gaussian import SquashedGaussian, SquashedGaussianPolicy
from hookrl.models.twin_critics import TwinCritics

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "ActionDistribution",
    "Actor",
    "ActorCritic",
    "Categorical",
    "CategoricalPolicy",
    "Composite",
    "DiagonalGaussian",
    "DictEncoder",
    "EpsilonGreedy",
    "FlattenEncoder",
    "MultiCategorical",
    "NatureCNN",
    "NumpyActor",
    "OneHotEncoder",
    "PolicyNetwork",
    "QNetwork",
    "SquashedGaussian",
    "SquashedGaussianPolicy",
    "TorchActor",
    "TwinCritics",
    "distribution_for",
    "encoder_for",
    "leaf_keys",
]
