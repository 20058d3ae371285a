"""Proximal policy optimization: nothing but hooks on the loop.

Schulman et al., "Proximal Policy Optimization Algorithms" (arXiv:1707.06347); numbered details are
those of Huang et al., "The 37 Implementation Details of Proximal Policy Optimization" (2022).
"""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import gymnasium as gym
import torch

from hookrl.collectors import ObservationNormalizer
from hookrl.configs import PPOConfig
from hookrl.errors import InvalidType
from hookrl.hooks import (
    EpisodeStatistics,
    ExplainedVariance,
    KLEarlyStop,
    LearningRateSchedule,
    LogLosses,
    LogScalar,
    Minibatches,
    NaNGuard,
    RewardScaling,
    Throughput,
    ValueEstimation,
    linear_schedule,
)
from hookrl.models import ActorCritic
from hookrl.objectives import GAE, ClipPPOLoss
from hookrl.state import Seeds
from hookrl.trainers.assembly import (
    begin_run,
    make_collector,
    make_environments,
    register_run_hooks,
    trainer_options,
)
from hookrl.trainers.captured import CapturedStep
from hookrl.trainers.configured import ConfiguredTrainer

SCALED_REWARD = ("next", "scaled_reward")


class PPOTrainer(ConfiguredTrainer):
    """PPO from ready components; `from_config` builds them all.

    Args:
        collector: yields batches ``[envs, time]`` of the policy in `loss_module`.
        total_frames: as for `Trainer`.
        loss_module: has the ``actor_critic`` that is trained and ``in_keys``, as `ClipPPOLoss`.
        optimizer: optimizes all losses.
        epochs: passes over each batch.
        minibatches: in each epoch.
        gamma: discount.
        lmbda: of generalized advantage estimation.
        recompute_advantages: judge the batch anew at the start of every epoch but the first.
        target_kl: end the inner loop after an epoch that moved the policy further; None: never.
        scale_rewards: learn from rewards divided by the deviation of discounted returns.
        clip_norm: bound of the gradients' total norm (detail 11).
        **options: everything else that `Trainer` takes.
    """

    config_type = PPOConfig

    def __init__(
        self,
        *,
        collector: Any,
        total_frames: int,
        loss_module: Any,
        optimizer: torch.optim.Optimizer,
        epochs: int = 4,
        minibatches: int = 4,
        gamma: float = 0.99,
        lmbda: float = 0.95,
        recompute_advantages: bool = False,
        target_kl: float | None = None,
        scale_rewards: bool = False,
        clip_norm: float | None = 0.5,
        **options: Any,
    ) -> None:
        for attribute in ("actor_critic", "in_keys"):
            if not hasattr(loss_module, attribute):
                raise InvalidType(
                    f"the loss module of a PPOTrainer is a {type(loss_module).__name__} without "
                    f"{attribute!r}: expected one like hookrl.objectives.ClipPPOLoss; any other "
                    "loss fits a plain Trainer with hooks of its own."
                )
        policy = getattr(collector, "policy", None)
        if getattr(collector, "policy_lag", 0) and not hasattr(policy, "evaluate_actions"):
            raise InvalidType(
                f"the policy of an overlapped collector of a PPOTrainer is a "
                f"{type(policy).__name__} without 'evaluate_actions': expected one that can say "
                "how likely its actions were, such as hookrl.models.ActorCritic, since the network "
                "that learns is another one by then."
            )
        super().__init__(
            collector=collector,
            total_frames=total_frames,
            optim_steps_per_batch=epochs * minibatches,
            loss_module=loss_module,
            optimizer=optimizer,
            clip_norm=clip_norm,
            **options,
        )
        if scale_rewards:
            RewardScaling(gamma, out_key=SCALED_REWARD).register(self)
        reward_key = SCALED_REWARD if scale_rewards else ("next", "reward")
        ValueEstimation(
            loss_module.actor_critic,
            GAE(gamma, lmbda, reward_key=reward_key),
            recompute_every=minibatches if recompute_advantages else None,
            compile=isinstance(self.step, CapturedStep),
            warns=options.get("compile") is True,
        ).register(self)
        Minibatches(minibatches, epochs, keys=loss_module.in_keys).register(self)
        NaNGuard().register(self)
        if target_kl is not None:
            KLEarlyStop(target_kl, steps_per_epoch=minibatches).register(self)
        # Statistics come from the reward as the environment gave it.
        EpisodeStatistics().register(self)
        LogScalar(("next", "reward"), "rollout/mean_reward", include_std=False).register(self)
        LogScalar("state_value", "rollout/mean_value", include_std=False).register(self)
        ExplainedVariance().register(self)
        LogLosses(weights={"loss_critic": getattr(loss_module, "critic_coeff", 1.0)}).register(self)
        Throughput().register(self)

    @classmethod
    def _build(cls, config: PPOConfig, resume: bool) -> Self:
        env = make_environments(config)
        actor_critic, normalizer = build_policy(
            config, env.single_observation_space, env.single_action_space
        )
        optimizer = torch.optim.Adam(
            actor_critic.parameters(), lr=config.learning_rate, eps=config.adam_eps, fused=True
        )
        run = begin_run(config, "ppo", resume=resume)
        trainer = cls(
            collector=make_collector(
                config, env, actor_critic, normalizer, steps_per_env=config.steps_per_env
            ),
            loss_module=ClipPPOLoss(
                actor_critic,
                clip_epsilon=config.clip_epsilon,
                entropy_coeff=config.entropy_coeff,
                critic_coeff=config.critic_coeff,
                loss_critic_type=config.loss_critic_type,
                normalize_advantage=config.normalize_advantage,
                clip_value=config.clip_value,
            ),
            optimizer=optimizer,
            epochs=config.epochs,
            minibatches=config.minibatches,
            gamma=config.gamma,
            lmbda=config.gae_lambda,
            recompute_advantages=config.recompute_advantages,
            target_kl=config.target_kl,
            scale_rewards=config.normalize_reward,
            clip_norm=config.max_grad_norm,
            **trainer_options(config, run),
        )
        if config.anneal_learning_rate:  # detail 4
            rate = linear_schedule(config.learning_rate, 0.0, config.total_frames)
            LearningRateSchedule(optimizer, rate).register(trainer)
        register_run_hooks(trainer, config, run, actor_critic, normalizer)
        return trainer


def build_policy(
    config: PPOConfig, observation_space: gym.Space[Any], action_space: gym.Space[Any]
) -> tuple[ActorCritic, ObservationNormalizer | None]:
    """Build the network, with weights drawn by the config's seed, and the normaliser if any."""
    actor_critic = ActorCritic.from_spaces(
        observation_space,
        action_space,
        **dataclasses.asdict(config.network),
        generator=Seeds(config.seed).torch("actor_critic"),
    ).to(config.device)
    normalizer = ObservationNormalizer(observation_space) if config.normalize_observation else None
    return actor_critic, normalizer
