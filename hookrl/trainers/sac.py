"""Soft actor-critic: nothing but hooks on the loop.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (arXiv:1812.05905). The losses are
computed once, on the parameters before the step, and then every optimizer steps; the paper's
algorithm alternates them within a step.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from gymnasium import spaces

from hookrl.collectors import ObservationNormalizer
from hookrl.configs import EntropyRegularizedConfig, SACConfig
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
)
from hookrl.models import SquashedGaussianPolicy, TwinCritics
from hookrl.objectives import SACLoss
from hookrl.state import Seeds, integer_seed
from hookrl.trainers.assembly import (
    begin_run,
    make_environments,
    make_normalizer,
    network_options,
    off_policy_options,
    register_run_hooks,
)
from hookrl.trainers.configured import ConfiguredTrainer

TAGS = {
    "loss_actor": "train/actor_loss",
    "loss_qvalue": "train/critic_loss",
    "q_value": "train/mean_q",
    "td_target": "train/td_target_mean",
}


class EntropyRegularizedTrainer(ConfiguredTrainer):
    """What both forms of SAC share: every hook.

    Args:
        collector: yields batches ``[envs, time]``; an inner loop follows each.
        total_frames: as for `Trainer`.
        loss_module: has ``critics`` and ``target_critics``, as `SACLoss` and `DiscreteSACLoss`.
        optimizers: by name, each with the losses that it minimises the sum of.
        replay_buffer: hookrl's or torchrl's.
        gradient_steps: optimization steps after each batch.
        learning_starts: frames collected before the first.
        save_replay: whether checkpoints hold what the replay buffer stores.
        target_interval: optimization steps between updates of the target critics.
        tau: how far each moves them; 1 copies.
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
        save_replay: bool = True,
        target_interval: int = 1,
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
        ReplayBufferTrainer(replay_buffer, save_contents=save_replay).register(self)
        WarmUp(learning_starts).register(self)
        NaNGuard().register(self)
        for name, (optimizer, components) in optimizers.items():
            OptimizerHook(optimizer, components).register(self, name)
        critics, target_critics = loss_module.critics, loss_module.target_critics
        TargetUpdate(critics, target_critics, tau=tau, every=target_interval).register(self)
        EpisodeStatistics().register(self)
        BufferSize().register(self)
        LogLosses(TAGS).register(self)
        Throughput().register(self)


class SACTrainer(EntropyRegularizedTrainer):
    """SAC from ready components; `from_config` builds them all.

    Args:
        **components: those of `EntropyRegularizedTrainer`, with a loss such as `SACLoss`.
    """

    config_type = SACConfig

    @classmethod
    def _build(cls, config: SACConfig, resume: bool) -> Self:
        env = make_environments(
            config,
            spaces.Box,
            trainer=cls.__name__,
            otherwise="DiscreteSACTrainer is for Discrete actions",
        )
        policy, normalizer = build_policy(
            config, env.single_observation_space, env.single_action_space
        )
        loss = SACLoss(
            policy,
            build_critics(config, env.single_observation_space, env.single_action_space),
            gamma=config.gamma,
            alpha_init=config.alpha,
            fixed_alpha=not config.learn_alpha,
            loss_function=config.loss_function,
            seed=integer_seed(Seeds(config.seed).sequence("loss")),
        )
        run = begin_run(config, "sac", resume=resume)
        trainer = cls(
            loss_module=loss,
            optimizers=make_optimizers(config, loss),
            **off_policy_options(
                config,
                run,
                env,
                policy,
                normalizer,
                init_random_frames=config.replay.learning_starts,
            ),
        )
        register_run_hooks(trainer, config, run, policy, normalizer)
        return trainer


def build_policy(
    config: SACConfig, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> tuple[SquashedGaussianPolicy, ObservationNormalizer | None]:
    """Build the policy, with weights drawn by the config's seed, and the normaliser if any."""
    policy = SquashedGaussianPolicy.from_spaces(
        observation_space, action_space, **network_options(config, "policy")
    ).to(config.device)
    return policy, make_normalizer(config, observation_space)


def build_critics(
    config: EntropyRegularizedConfig,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
) -> TwinCritics:
    """Build the critics of either form, with weights drawn by the config's seed."""
    return TwinCritics.from_spaces(
        observation_space, action_space, **network_options(config, "critics")
    ).to(config.device)


def make_optimizers(
    config: EntropyRegularizedConfig, loss: Any
) -> dict[str, tuple[torch.optim.Optimizer, list[str]]]:
    """Give policy, critics and, where it is learned, temperature an optimizer each."""

    def adam(parameters: Any) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)

    optimizers: dict[str, tuple[torch.optim.Optimizer, list[str]]] = {
        "actor": (adam(loss.policy.parameters()), ["loss_actor"]),
        "critic": (adam(loss.critics.parameters()), ["loss_qvalue"]),
    }
    if config.learn_alpha:
        optimizers["alpha"] = (adam([loss.log_alpha]), ["loss_alpha"])
    return optimizers
