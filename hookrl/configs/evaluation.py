"""Evaluation while training goes on."""

from __future__ import annotations

from dataclasses import dataclass

from hookrl.configs.checks import check_number


@dataclass(kw_only=True, slots=True)
class EvaluationConfig:
    """How often, and on how much, the deterministic policy is evaluated during training."""

    interval: int = 0
    """Frames between evaluations; 0: never. `hookrl evaluate` does it afterwards."""
    episodes: int = 10
    """Episodes per evaluation."""
    num_envs: int = 10
    """Environments that run them side by side."""

    def __post_init__(self) -> None:
        check_number(self, "interval", at_least=0, whole=True)
        check_number(self, "episodes", "num_envs", at_least=1, whole=True)
