"""Typed configs: what can be set, what it means, and what it is unless set.

Nothing heavy is imported here, so that the command line can explain a config at once.
"""

from hookrl.configs.checkpoint import CheckpointConfig
from hookrl.configs.discrete_sac import DiscreteSACConfig
from hookrl.configs.docs import FieldDoc, field_docs
from hookrl.configs.dqn import DQNConfig
from hookrl.configs.evaluation import EvaluationConfig
from hookrl.configs.network import NetworkConfig, PerceptronConfig
from hookrl.configs.off_policy import OffPolicyConfig
from hookrl.configs.overrides import from_overrides
from hookrl.configs.ppo import PPOConfig
from hookrl.configs.replay import ReplayConfig
from hookrl.configs.run import RunConfig
from hookrl.configs.sac import EntropyRegularizedConfig, SACConfig
from hookrl.configs.serialise import from_plain, to_plain

__all__ = [
    "CheckpointConfig",
    "DQNConfig",
    "DiscreteSACConfig",
    "EntropyRegularizedConfig",
    "EvaluationConfig",
    "FieldDoc",
    "NetworkConfig",
    "OffPolicyConfig",
    "PPOConfig",
    "PerceptronConfig",
    "ReplayConfig",
    "RunConfig",
    "SACConfig",
    "field_docs",
    "from_overrides",
    "from_plain",
    "to_plain",
]
