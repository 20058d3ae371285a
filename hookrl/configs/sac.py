"""Every setting of a SAC run, with its default and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from hookrl.configs.checks import check_choice, check_flag, check_kind, check_number
from hookrl.configs.network import PerceptronConfig
from hookrl.configs.replay import ReplayConfig
from hookrl.configs.run import RunConfig


@dataclass(kw_only=True, slots=True)
class SACConfig(RunConfig):
    """Settings of SAC; the defaults are those of Haarnoja et al. (2018)."""

    env: str = "Pendulum-v1"
    """Id of a registered Gymnasium environment."""
    total_frames: int = 1_000_000
    """Environment frames to train for; the last batch may go beyond."""
    train_frequency: int = 1
    """Frames between trainings, which is also the size of a batch; a multiple of num_envs."""
    gradient_steps: int = 1
    """Optimization steps of each training."""
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    """What is remembered, and how it is drawn; until learning starts, actions are random."""

    gamma: float = 0.99
    """Discount factor per step."""
    tau: float = 0.005
    """How far each optimization step moves the target critics."""
    alpha: float = 1.0
    """Temperature at the start."""
    learn_alpha: bool = True
    """Whether the temperature is learned, so that the entropy stays at minus the dimensions of an
    action."""
    loss_function: str = "l2"
    """Distance between values and their targets: l2, or smooth_l1 (Huber)."""
    learning_rate: float = 3e-4
    """Adam's step size, for policy, critics and temperature."""
    max_grad_norm: float | None = None
    """Bound for the total norm of each optimizer's gradients; null: none."""
    network: PerceptronConfig = field(
        default_factory=lambda: PerceptronConfig(hidden_sizes=(256, 256), activation="relu")
    )
    """Shape of policy and critics."""

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_kind(self, "network", PerceptronConfig, "a PerceptronConfig")
        check_kind(self, "replay", ReplayConfig, "a ReplayConfig")
        check_number(self, "train_frequency", "gradient_steps", at_least=1, whole=True)
        check_number(self, "gamma", at_least=0, at_most=1)
        check_number(self, "tau", above=0, at_most=1)
        check_number(self, "alpha", "learning_rate", above=0)
        check_number(self, "max_grad_norm", above=0, optional=True)
        check_choice(self, "loss_function", ("l2", "smooth_l1"))
        check_flag(self, "learn_alpha")
