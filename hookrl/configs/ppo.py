"""Every setting of a PPO run, with its default and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from hookrl.configs.checks import check_choice, check_flag, check_kind, check_number
from hookrl.configs.network import NetworkConfig
from hookrl.configs.run import RunConfig


@dataclass(kw_only=True, slots=True)
class PPOConfig(RunConfig):
    """Settings of PPO; the defaults are those of CleanRL's ``ppo.py``, with 8 environments."""

    num_envs: int = 8
    """Environments that are stepped side by side."""
    steps_per_env: int = 128
    """Steps of each environment per batch: a batch is num_envs × steps_per_env."""

    gamma: float = 0.99
    """Discount factor per step."""
    gae_lambda: float = 0.95
    """λ of generalised advantage estimation: 0 trusts the value function, 1 the returns."""
    epochs: int = 4
    """Passes over each batch."""
    minibatches: int = 4
    """Parts that each pass is cut into, whose sizes differ by at most one."""
    recompute_advantages: bool = False
    """Whether advantages are estimated anew before each pass (Andrychowicz et al., 2021)."""
    clip_epsilon: float = 0.2
    """How far the probability ratio may move from 1 before its gradient is cut."""
    clip_value: float | None = 0.2
    """How far a value may move from what it was when the batch came in; null: any distance."""
    entropy_coeff: float = 0.01
    """Weight of the entropy bonus."""
    critic_coeff: float = 0.25
    """Weight of the value loss; as torchrl's, it has no factor 1/2, so that CleanRL's
    vf_coef=0.5 is 0.25 here."""
    loss_critic_type: str = "l2"
    """Distance between values and their targets: l2, l1 or smooth_l1."""
    normalize_advantage: bool = True
    """Whether each minibatch's advantages are brought to mean 0 and standard deviation 1."""
    target_kl: float | None = None
    """Approximate KL divergence beyond which no further pass is made; null: no bound."""

    learning_rate: float = 2.5e-4
    """Adam's step size at the start."""
    anneal_learning_rate: bool = True
    """Whether it falls linearly to 0 over the training."""
    adam_eps: float = 1e-5
    """Adam's ε; OpenAI Baselines had 1e-5 where torch has 1e-8, and results rest on it."""
    max_grad_norm: float | None = 0.5
    """Bound for the total norm of the gradients; null: none."""

    normalize_reward: bool = False
    """Whether rewards are divided by the running standard deviation of the discounted return."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Shape of the networks."""

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_kind(self, "network", NetworkConfig, "a NetworkConfig")
        check_number(self, "steps_per_env", "epochs", at_least=1, whole=True)
        frames = self.num_envs * self.steps_per_env
        check_number(self, "minibatches", at_least=1, at_most=frames, whole=True)
        check_number(self, "gamma", "gae_lambda", at_least=0, at_most=1)
        check_number(self, "clip_epsilon", "learning_rate", "adam_eps", above=0)
        check_number(self, "entropy_coeff", "critic_coeff", at_least=0)
        check_number(self, "clip_value", "target_kl", "max_grad_norm", above=0, optional=True)
        check_choice(self, "loss_critic_type", ("l2", "l1", "smooth_l1"))
        check_flag(self, "recompute_advantages", "normalize_advantage", "anneal_learning_rate")
        check_flag(self, "normalize_reward")
