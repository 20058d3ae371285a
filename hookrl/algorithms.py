"""The algorithms by name: where their settings and their trainer are.

Nothing is imported before it is needed, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple


class Algorithm(NamedTuple):
    """What everybody who starts a run by name has to know of an algorithm."""

    title: str
    config: str
    """The dataclass of its settings, as ``module:name``."""
    trainer: str
    """The class with ``from_config``, as ``module:name``."""

    def load_config(self) -> Any:
        """Return the dataclass of its settings."""
        return _load(self.config)

    def load_trainer(self) -> Any:
        """Return the class of its trainer."""
        return _load(self.trainer)


ALGORITHMS = {
    "discrete-sac": Algorithm(
        "soft actor-critic for discrete actions",
        "hookrl.configs:DiscreteSACConfig",
        "hookrl.trainers:DiscreteSACTrainer",
    ),
    "dqn": Algorithm("deep Q-learning", "hookrl.configs:DQNConfig", "hookrl.trainers:DQNTrainer"),
    "ppo": Algorithm(
        "proximal policy optimisation", "hookrl.configs:PPOConfig", "hookrl.trainers:PPOTrainer"
    ),
    "sac": Algorithm("soft actor-critic", "hookrl.configs:SACConfig", "hookrl.trainers:SACTrainer"),
}


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
