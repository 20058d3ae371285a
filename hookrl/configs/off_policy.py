"""What learning from replayed transitions has in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from hookrl.configs.checks import check_choice, check_kind, check_number
from hookrl.configs.network import PerceptronConfig
from hookrl.configs.replay import ReplayConfig
from hookrl.configs.run import RunConfig
from hookrl.errors import InvalidValue


@dataclass(kw_only=True, slots=True)
class OffPolicyConfig(RunConfig):
    """When to learn, from what, and towards which values."""

    train_frequency: int = 1
    """Frames between trainings, which is also the size of a batch; a multiple of num_envs."""
    gradient_steps: int = 1
    """Optimization steps of each training."""
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    """What is remembered, and how it is drawn."""
    gamma: float = 0.99
    """Discount factor per step."""
    tau: float = 0.005
    """How far each update moves the target networks; 1 copies."""
    loss_function: str = "l2"
    """Distance between values and their targets: l2, or smooth_l1 (Huber)."""
    learning_rate: float = 3e-4
    """Adam's step size."""
    max_grad_norm: float | None = None
    """Bound for the total norm of each optimizer's gradients; null: none."""
    network: PerceptronConfig = field(
        default_factory=lambda: PerceptronConfig(hidden_sizes=(256, 256), activation="relu")
    )
    """Shape of the networks."""

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_kind(self, "network", PerceptronConfig, "a PerceptronConfig")
        check_kind(self, "replay", ReplayConfig, "a ReplayConfig")
        check_number(self, "train_frequency", "gradient_steps", at_least=1, whole=True)
        check_number(self, "gamma", at_least=0, at_most=1)
        check_number(self, "tau", above=0, at_most=1)
        check_number(self, "learning_rate", above=0)
        check_number(self, "max_grad_norm", above=0, optional=True)
        check_choice(self, "loss_function", ("l2", "smooth_l1"))
        if self.train_frequency % self.num_envs:
            raise InvalidValue(
                f"train_frequency={self.train_frequency} in {type(self).__name__} with "
                f"num_envs={self.num_envs}: expected a multiple of it."
            )

    @property
    def steps_per_env(self) -> int:
        """Steps of each environment in a batch."""
        return self.train_frequency // self.num_envs
