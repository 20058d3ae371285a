"""Every setting of a run of discrete SAC, with its default and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from hookrl.configs.checks import check_number
from hookrl.configs.replay import ReplayConfig
from hookrl.configs.sac import EntropyRegularizedConfig


@dataclass(kw_only=True, slots=True)
class DiscreteSACConfig(EntropyRegularizedConfig):
    """Settings of SAC for discrete actions; the defaults are those of Christodoulou (2019).

    They were made for Atari, and CleanRL's ``sac_atari.py`` has them too, but for the target
    entropy. Small tasks learn sooner with ``tau=0.005 target_interval=1`` and less entropy.

    Until ``replay.learning_starts`` frames were collected, actions are random.
    """

    train_frequency: int = 4
    """Frames between trainings, which is also the size of a batch; a multiple of num_envs. 4 as
    DQN has it on Atari (Mnih et al., 2015)."""
    replay: ReplayConfig = field(
        default_factory=lambda: ReplayConfig(
            capacity=1_000_000, batch_size=64, learning_starts=20_000
        )
    )
    """What is remembered, and how it is drawn; smaller samples and a later start than those of
    SAC, as published."""
    target_interval: int = 2000
    """Optimization steps between updates of the target critics; the published 8,000 frames at one
    step per 4 frames."""
    tau: float = 1.0
    """How far each update moves the target critics; 1 copies, since updates are rare."""
    target_entropy_scale: float = 0.98
    """Entropy that a learned temperature holds the policy at, as a share of that of uniformly
    random actions. The published 0.98 is nearly random: 58% for one of two actions. CleanRL has
    0.89."""

    def __post_init__(self) -> None:
        # super() does not work in a dataclass with slots
        EntropyRegularizedConfig.__post_init__(self)
        check_number(self, "target_interval", at_least=1, whole=True)
        check_number(self, "target_entropy_scale", at_least=0, at_most=1)
