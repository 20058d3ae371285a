"""hookrl: a reinforcement-learning trainer built from hooks, on TensorDict.

Importing this costs nothing: the names below are loaded when they are first used, so that the
command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookrl.collectors import VectorCollector
    from hookrl.configs import DiscreteSACConfig, DQNConfig, PPOConfig, SACConfig
    from hookrl.hooks import TrainerHookBase
    from hookrl.trainers import DiscreteSACTrainer, DQNTrainer, PPOTrainer, SACTrainer, Trainer

__version__ = "0.1.0"

__all__ = [
    "DQNConfig",
    "DQNTrainer",
    "DiscreteSACConfig",
    "DiscreteSACTrainer",
    "PPOConfig",
    "PPOTrainer",
    "SACConfig",
    "SACTrainer",
    "Trainer",
    "TrainerHookBase",
    "VectorCollector",
]

_HOMES = {
    "DQNConfig": "hookrl.configs",
    "DQNTrainer": "hookrl.trainers",
    "DiscreteSACConfig": "hookrl.configs",
    "DiscreteSACTrainer": "hookrl.trainers",
    "PPOConfig": "hookrl.configs",
    "PPOTrainer": "hookrl.trainers",
    "SACConfig": "hookrl.configs",
    "SACTrainer": "hookrl.trainers",
    "Trainer": "hookrl.trainers",
    "TrainerHookBase": "hookrl.hooks",
    "VectorCollector": "hookrl.collectors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
