"""Every setting of a DQN run, with its default and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from hookrl.configs.checks import check_flag, check_number
from hookrl.configs.network import PerceptronConfig
from hookrl.configs.off_policy import OffPolicyConfig
from hookrl.configs.replay import ReplayConfig


@dataclass(kw_only=True, slots=True)
class DQNConfig(OffPolicyConfig):
    """Settings of DQN; the defaults are those of CleanRL's ``dqn.py``."""

    train_frequency: int = 10
    """Frames between trainings, which is also the size of a batch; a multiple of num_envs."""
    replay: ReplayConfig = field(
        default_factory=lambda: ReplayConfig(
            capacity=10_000, batch_size=128, learning_starts=10_000
        )
    )
    """What is remembered, and how it is drawn."""
    double: bool = False
    """Whether the online network chooses the action whose target value counts (van Hasselt et al.,
    2016)."""
    dueling: bool = False
    """Whether state value and advantages have heads of their own (Wang et al., 2016)."""
    target_interval: int = 50
    """Optimization steps between updates of the target network; CleanRL's 500 frames at one step
    per 10 frames."""
    tau: float = 1.0
    """How far each update moves the target network; 1 copies."""
    epsilon_start: float = 1.0
    """Share of random actions at the start."""
    epsilon_end: float = 0.05
    """Share of random actions from the end of exploration on."""
    exploration_fraction: float = 0.5
    """Share of total_frames over which the one falls linearly to the other."""
    learning_rate: float = 2.5e-4
    """Adam's step size."""
    network: PerceptronConfig = field(
        default_factory=lambda: PerceptronConfig(hidden_sizes=(120, 84), activation="relu")
    )
    """Shape of the Q-network."""

    def __post_init__(self) -> None:
        OffPolicyConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_number(self, "target_interval", at_least=1, whole=True)
        check_number(self, "epsilon_start", "epsilon_end", at_least=0, at_most=1)
        check_number(self, "exploration_fraction", above=0, at_most=1)
        check_flag(self, "double", "dueling")
