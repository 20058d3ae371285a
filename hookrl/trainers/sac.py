"""Soft actor-critic: nothing but hooks on the loop.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (arXiv:1812.05905). The losses are
computed once, on the parameters before the step, and then every optimizer steps; the paper's
algorithm alternates them within a step.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch

from hookrl.collectors import ObservationNormalizer
from hookrl.configs import SACConfig
from hookrl.envs import make_vector_env
from hookrl.hooks import (
    BufferSize,
    EpisodeStatistics,
    LogLosses,
    NaNGuard,
    OptimizerHook,
    ReplayBufferTrainer,
    TargetUpdate,
    Throughput,
    WarmUp,
    torch_threads,
)
from hookrl.models import SquashedGaussianPolicy, TwinCritics
from hookrl.objectives import SACLoss
from hookrl.state import Seeds, integer_seed
from hookrl.trainers.assembly import (
    begin_run,
    check_config,
    make_collector,
    make_replay_buffer,
    register_run_hooks,
    trainer_options,
)
from hookrl.trainers.trainer import Trainer

TAGS = {
    "loss_actor": "train/actor_loss",
    "loss_qvalue": "train/critic_loss",
    "q_value": "train/mean_q",
    "td_target": "train/td_target_mean",
}


class SACTrainer(Trainer):
    """SAC from ready components; `from_config` builds them all.

    Args:
        collector: yields batches ``[envs, time]``; an inner loop follows each.
        total_frames: as for `Trainer`.
        loss_module: has ``critics`` and ``target_critics``, as `SACLoss`.
        optimizers: by name, each with the losses that it minimises the sum of.
        replay_buffer: hookrl's or torchrl's.
        gradient_steps: optimization steps after each batch.
        learning_starts: frames collected before the first.
        tau: how far each step moves the target critics.
        **options: everything else that `Trainer` takes.
    """

    def __init__(
        self,
        *,
        collector: Any,
        total_frames: int,
        loss_module: Any,
        optimizers: dict[str, tuple[torch.optim.Optimizer, list[str]]],
        replay_buffer: Any,
        gradient_steps: int = 1,
        learning_starts: int = 0,
        tau: float = 0.005,
        **options: Any,
    ) -> None:
        super().__init__(
            collector=collector,
            total_frames=total_frames,
            optim_steps_per_batch=gradient_steps,
            loss_module=loss_module,
            **options,
        )
        ReplayBufferTrainer(replay_buffer).register(self)
        WarmUp(learning_starts).register(self)
        NaNGuard().register(self)
        for name, (optimizer, components) in optimizers.items():
            OptimizerHook(optimizer, components).register(self, name)
        TargetUpdate(loss_module.critics, loss_module.target_critics, tau=tau).register(self)
        EpisodeStatistics().register(self)
        BufferSize(replay_buffer).register(self)
        LogLosses(TAGS).register(self)
        Throughput().register(self)

    @classmethod
    def from_config(cls, config: SACConfig) -> SACTrainer:
        """Build environments, networks, loss, optimizers, replay, logger and hooks from a config.

        Raises:
            InvalidValue: for an unknown environment or device.
            InvalidType: for a space that is not supported, such as discrete actions.
            ExistingFile: if the run directory is in use.
        """
        check_config(config, SACConfig)
        # The same threads as in training: a factorisation's last bits depend on their number.
        with torch_threads(config.torch_threads):
            return cls._build(config)

    @classmethod
    def _build(cls, config: SACConfig) -> SACTrainer:
        env = make_vector_env(config.env, config.num_envs, config.env_kwargs)
        spaces = env.single_observation_space, env.single_action_space
        policy, normalizer = build_policy(config, *spaces)
        seeds = Seeds(config.seed)
        critics = TwinCritics.from_spaces(
            *spaces,
            hidden_sizes=config.network.hidden_sizes,
            activation=config.network.activation,
            generator=seeds.torch("critics"),
        ).to(config.device)
        loss = SACLoss(
            policy,
            critics,
            gamma=config.gamma,
            alpha_init=config.alpha,
            fixed_alpha=not config.learn_alpha,
            loss_function=config.loss_function,
            seed=integer_seed(seeds.sequence("loss")),
        )

        def adam(parameters: Any) -> torch.optim.Adam:
            return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)

        optimizers: dict[str, tuple[torch.optim.Optimizer, list[str]]] = {
            "actor": (adam(policy.parameters()), ["loss_actor"]),
            "critic": (adam(critics.parameters()), ["loss_qvalue"]),
        }
        if config.learn_alpha:
            optimizers["alpha"] = (adam([loss.log_alpha]), ["loss_alpha"])
        run = begin_run(config, "sac")
        trainer = cls(
            collector=make_collector(
                config,
                env,
                policy,
                normalizer,
                steps_per_env=config.steps_per_env,
                init_random_frames=config.replay.learning_starts,
            ),
            loss_module=loss,
            optimizers=optimizers,
            replay_buffer=make_replay_buffer(config.replay, config.gamma),
            gradient_steps=config.gradient_steps,
            learning_starts=config.replay.learning_starts,
            tau=config.tau,
            clip_norm=config.max_grad_norm,
            **trainer_options(config, run),
        )
        register_run_hooks(trainer, config, run, policy, normalizer)
        return trainer


def build_policy(
    config: SACConfig, observation_space: gym.Space[Any], action_space: gym.Space[Any]
) -> tuple[SquashedGaussianPolicy, ObservationNormalizer | None]:
    """Build the policy, with weights drawn by the config's seed, and the normaliser if any."""
    policy = SquashedGaussianPolicy.from_spaces(
        observation_space,
        action_space,
        hidden_sizes=config.network.hidden_sizes,
        activation=config.network.activation,
        generator=Seeds(config.seed).torch("policy"),
    ).to(config.device)
    normalizer = ObservationNormalizer(observation_space) if config.normalize_observation else None
    return policy, normalizer
