"""Tianshou's PPO for discrete actions, on its DummyVectorEnv."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory, LRSchedulerFactoryLinear
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic
from torch import nn
from torch.distributions import Categorical

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import PPOConfig


def train(config: PPOConfig, clock: Clock) -> Policy:
    """Train with Tianshou."""
    torch.set_num_threads(config.torch_threads or 1)
    torch.manual_seed(config.seed)
    np.random.seed(config.seed)
    envs = DummyVectorEnv([lambda: _environment(config)] * config.num_envs)
    envs.seed(config.seed)
    batch = config.num_envs * config.steps_per_env
    algorithm = _algorithm(config, envs, batch)
    collector: Any = Collector(algorithm, envs, VectorReplayBuffer(batch, config.num_envs))
    collector.reset()

    clock.start()
    algorithm.run_training(
        OnPolicyTrainerParams(
            training_collector=collector,
            max_epochs=1,
            epoch_num_steps=config.total_frames,
            collection_step_num_env_steps=batch,
            batch_size=batch // config.minibatches,
            update_step_num_repetitions=config.epochs,
            # Called before each batch with the steps that were collected and learned from.
            training_fn=lambda _, steps: clock.tick(steps),
            show_progress=False,
            verbose=False,
        )
    )
    clock.stop(-(-config.total_frames // batch) * batch)
    envs.close()
    actor = algorithm.policy.actor

    @torch.no_grad()
    def act(observation: Any) -> Any:
        return actor(np.asarray(observation))[0].argmax(-1).numpy()

    return Policy(act)


def _algorithm(config: PPOConfig, envs: DummyVectorEnv, batch: int) -> PPO:
    observation_space, action_space = envs.observation_space[0], envs.action_space[0]
    network = {
        "state_shape": observation_space.shape,
        "hidden_sizes": config.network.hidden_sizes,
        "activation": nn.Tanh,
    }
    actor = DiscreteActor(
        preprocess_net=Net(**network), action_shape=int(action_space.n), softmax_output=False
    )
    critic = DiscreteCritic(preprocess_net=Net(**network))
    for head, gain in ((actor, 0.01), (critic, 1.0)):
        for layer in head.modules():
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, np.sqrt(2))
                nn.init.zeros_(layer.bias)
        last = [layer for layer in head.last.modules() if isinstance(layer, nn.Linear)][-1]
        nn.init.orthogonal_(last.weight, gain)
    optimizer = AdamOptimizerFactory(lr=config.learning_rate, eps=config.adam_eps)
    if config.anneal_learning_rate:
        optimizer.with_lr_scheduler_factory(
            LRSchedulerFactoryLinear(
                max_epochs=1,
                epoch_num_steps=config.total_frames,
                collection_step_num_env_steps=batch,
            )
        )
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=lambda logits: Categorical(logits=logits),
        action_space=action_space,
        action_scaling=False,
        action_bound_method=None,
    )
    return PPO(
        policy=policy,
        critic=critic,
        optim=optimizer,
        eps_clip=config.clip_epsilon,
        value_clip=config.clip_value is not None,
        advantage_normalization=config.normalize_advantage,
        vf_coef=config.critic_coeff,
        ent_coef=config.entropy_coeff,
        max_grad_norm=config.max_grad_norm,
        gae_lambda=config.gae_lambda,
        gamma=config.gamma,
        max_batchsize=batch,
    )


def _environment(config: PPOConfig) -> gym.Env[Any, Any]:
    return gym.make(config.env, disable_env_checker=True, **config.env_kwargs)
