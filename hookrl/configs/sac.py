"""Every setting of a SAC run, with its default and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass

from hookrl.configs.checks import check_flag, check_number
from hookrl.configs.off_policy import OffPolicyConfig


@dataclass(kw_only=True, slots=True)
class EntropyRegularizedConfig(OffPolicyConfig):
    """What both forms of SAC share: the temperature."""

    alpha: float = 1.0
    """Temperature at the start."""
    learn_alpha: bool = True
    """Whether the temperature is learned, so that the entropy stays at its target."""

    def __post_init__(self) -> None:
        OffPolicyConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_number(self, "alpha", above=0)
        check_flag(self, "learn_alpha")


@dataclass(kw_only=True, slots=True)
class SACConfig(EntropyRegularizedConfig):
    """Settings of SAC; the defaults are those of Haarnoja et al. (2018).

    Until ``replay.learning_starts`` frames were collected, actions are random.
    """

    env: str = "Pendulum-v1"
    """Id of a registered Gymnasium environment."""
    total_frames: int = 1_000_000
    """Environment frames to train for; the last batch may go beyond."""
    learn_alpha: bool = True
    """Whether the temperature is learned, so that the entropy stays at minus the dimensions of an
    action."""
