"""Typed configs: what can be set, what it means, and what it is unless set.

Nothing heavy is imported here, so that the command line can explain a config at once.
"""

from hookrl.configs.docs import FieldDoc, field_docs
from hookrl.configs.evaluation import EvaluationConfig
from hookrl.configs.network import NetworkConfig
from hookrl.configs.overrides import from_overrides
from hookrl.configs.ppo import PPOConfig
from hookrl.configs.run import RunConfig
from hookrl.configs.serialise import from_plain, to_plain

__all__ = [
    "EvaluationConfig",
    "FieldDoc",
    "NetworkConfig",
    "PPOConfig",
    "RunConfig",
    "field_docs",
    "from_overrides",
    "from_plain",
    "to_plain",
]
