"""Deep Q-learning: nothing but hooks on the loop.

Mnih et al., "Human-level control through deep reinforcement learning" (Nature 518, 2015).
"""

from __future__ import annotations

from typing import Any, Self

import torch
from gymnasium import spaces

from hookrl.collectors import ObservationNormalizer
from hookrl.configs import DQNConfig
from hookrl.hooks import (
    BufferSize,
    EpisodeStatistics,
    EpsilonGreedySchedule,
    LogLosses,
    NaNGuard,
    ReplayBufferTrainer,
    TargetUpdate,
    Throughput,
    WarmUp,
    linear_schedule,
)
from hookrl.models import QNetwork
from hookrl.objectives import DQNLoss
from hookrl.trainers.assembly import (
    begin_run,
    make_environments,
    make_normalizer,
    network_options,
    off_policy_options,
    register_run_hooks,
)
from hookrl.trainers.configured import ConfiguredTrainer

TAGS = {"loss_q": "train/q_loss", "q_value": "train/mean_q", "td_target": "train/td_target_mean"}


class DQNTrainer(ConfiguredTrainer):
    """DQN from ready components; `from_config` builds them all.

    Args:
        collector: yields batches ``[envs, time]``; an inner loop follows each.
        total_frames: as for `Trainer`.
        loss_module: has a ``q_network`` and a ``target_network``, as `DQNLoss`.
        optimizer: optimizes the loss.
        replay_buffer: hookrl's or torchrl's.
        gradient_steps: optimization steps after each batch.
        learning_starts: frames collected before the first.
        save_replay: whether checkpoints hold what the replay buffer stores.
        target_interval: optimization steps between updates of the target network.
        tau: how far each moves it; 1 copies.
        epsilon: share of random actions, as a function of collected frames; None leaves it to the
            policy.
        **options: everything else that `Trainer` takes.
    """

    config_type = DQNConfig

    def __init__(
        self,
        *,
        collector: Any,
        total_frames: int,
        loss_module: Any,
        optimizer: torch.optim.Optimizer,
        replay_buffer: Any,
        gradient_steps: int = 1,
        learning_starts: int = 0,
        save_replay: bool = True,
        target_interval: int = 1,
        tau: float = 1.0,
        epsilon: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            collector=collector,
            total_frames=total_frames,
            optim_steps_per_batch=gradient_steps,
            loss_module=loss_module,
            optimizer=optimizer,
            **options,
        )
        ReplayBufferTrainer(replay_buffer, save_contents=save_replay).register(self)
        WarmUp(learning_starts).register(self)
        NaNGuard().register(self)
        q_network, target_network = loss_module.q_network, loss_module.target_network
        TargetUpdate(q_network, target_network, tau=tau, every=target_interval).register(self)
        if epsilon is not None:
            EpsilonGreedySchedule(q_network, epsilon).register(self)
        EpisodeStatistics().register(self)
        BufferSize().register(self)
        LogLosses(TAGS).register(self)
        Throughput().register(self)

    @classmethod
    def _build(cls, config: DQNConfig, resume: bool) -> Self:
        env = make_environments(
            config, spaces.Discrete, trainer=cls.__name__, otherwise="SACTrainer is for a Box"
        )
        q_network, normalizer = build_policy(
            config, env.single_observation_space, env.single_action_space
        )
        loss = DQNLoss(
            q_network,
            gamma=config.gamma,
            double=config.double,
            loss_function=config.loss_function,
        )
        optimizer = torch.optim.Adam(q_network.parameters(), lr=config.learning_rate, fused=True)
        explored = max(int(config.exploration_fraction * config.total_frames), 1)
        run = begin_run(config, "dqn", resume=resume)
        trainer = cls(
            loss_module=loss,
            optimizer=optimizer,
            target_interval=config.target_interval,
            epsilon=linear_schedule(config.epsilon_start, config.epsilon_end, explored),
            **off_policy_options(config, run, env, q_network, normalizer),
        )
        register_run_hooks(trainer, config, run, q_network, normalizer)
        return trainer


def build_policy(
    config: DQNConfig, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> tuple[QNetwork, ObservationNormalizer | None]:
    """Build the Q-network, with weights drawn by the config's seed, and the normaliser if any."""
    q_network = QNetwork.from_spaces(
        observation_space,
        action_space,
        dueling=config.dueling,
        **network_options(config, "q_network"),
    ).to(config.device)
    return q_network, make_normalizer(config, observation_space)
