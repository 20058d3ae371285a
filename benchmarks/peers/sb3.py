"""Stable-Baselines3, without files and without a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest import mock

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import nn

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import DQNConfig, OffPolicyConfig, PPOConfig, RunConfig, SACConfig

_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def train(config: RunConfig, clock: Clock) -> Policy:
    """Train with Stable-Baselines3."""
    torch.set_num_threads(config.torch_threads or 1)
    env = _environments(config)
    normalizer = env if isinstance(env, VecNormalize) else None
    name, arguments = arguments_for(config)
    model = getattr(stable_baselines3, name)(
        "MlpPolicy", env, seed=config.seed, device="cpu", verbose=0, **arguments
    )
    # There is no setting for DQN's loss. Its module calls it as F.smooth_l1_loss: the only place
    # where it can be replaced.
    squared = isinstance(config, DQNConfig) and config.loss_function == "l2"
    patch = mock.patch("torch.nn.functional.smooth_l1_loss", torch.nn.functional.mse_loss)
    with patch if squared else nullcontext():
        clock.start()
        model.learn(config.total_frames, callback=_Ticking(clock))
        clock.stop(model.num_timesteps)
    env.close()
    return Policy(
        act=lambda observation: model.predict(observation, deterministic=True)[0],
        # Outside of training VecNormalize applies its statistics without updating them.
        view=None if normalizer is None else lambda raw: normalizer.normalize_obs(np.array(raw)),
    )


def arguments_for(config: RunConfig) -> tuple[str, dict[str, Any]]:
    """Return the algorithm's name, and its settings in Stable-Baselines3's words."""
    if isinstance(config, PPOConfig):
        return "PPO", _ppo(config)
    if isinstance(config, DQNConfig):
        return "DQN", {
            **_off_policy(config),
            "target_update_interval": config.target_interval * config.train_frequency,
            "exploration_initial_eps": config.epsilon_start,
            "exploration_final_eps": config.epsilon_end,
            "exploration_fraction": config.exploration_fraction,
            "max_grad_norm": config.max_grad_norm or 1e9,
        }
    assert isinstance(config, SACConfig)
    temperature = f"auto_{config.alpha}" if config.learn_alpha else config.alpha
    return "SAC", {**_off_policy(config), "ent_coef": temperature}


def _ppo(config: PPOConfig) -> dict[str, Any]:
    sizes = [*config.network.hidden_sizes]
    return {
        "n_steps": config.steps_per_env,
        "n_epochs": config.epochs,
        "batch_size": config.num_envs * config.steps_per_env // config.minibatches,
        "learning_rate": _falling(config.learning_rate)
        if config.anneal_learning_rate
        else config.learning_rate,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "clip_range": config.clip_epsilon,
        "clip_range_vf": config.clip_value,
        "ent_coef": config.entropy_coeff,
        "vf_coef": config.critic_coeff,  # no 1/2 in its loss either
        "max_grad_norm": config.max_grad_norm,
        "policy_kwargs": {
            "net_arch": {"pi": sizes, "vf": sizes},
            "activation_fn": _ACTIVATIONS[config.network.activation],
            "log_std_init": config.network.log_std_init,
            "ortho_init": True,
            "optimizer_kwargs": {"eps": config.adam_eps},
        },
    }


def _off_policy(config: OffPolicyConfig) -> dict[str, Any]:
    return {
        "train_freq": config.train_frequency // config.num_envs,
        "gradient_steps": config.gradient_steps,
        "buffer_size": config.replay.capacity,
        "batch_size": config.replay.batch_size,
        "learning_starts": config.replay.learning_starts,
        "gamma": config.gamma,
        "tau": config.tau,
        "learning_rate": config.learning_rate,
        "policy_kwargs": {"net_arch": [*config.network.hidden_sizes]},
    }


def _environments(config: RunConfig) -> VecEnv:
    """Its DummyVecEnv with its Monitor, or gymnasium's vectorised CartPole."""
    if config.vectorization_mode == "vector_entry_point":
        from benchmarks.peers.sb3_vector import VectorCartPole

        env: VecEnv = VectorCartPole(config.num_envs)
    else:
        # Without gymnasium's passive checker, as hookrl makes its environments.
        env_kwargs = {"disable_env_checker": True, **config.env_kwargs}
        env = make_vec_env(config.env, config.num_envs, env_kwargs=env_kwargs)
    rewards = isinstance(config, PPOConfig) and config.normalize_reward
    if not (config.normalize_observation or rewards):
        return env
    return VecNormalize(
        env,
        norm_obs=config.normalize_observation,
        norm_reward=rewards,
        gamma=getattr(config, "gamma", 0.99),
    )


def _falling(start: float) -> Callable[[float], float]:
    """From `start` to 0; the last batch may go beyond the budget, where less than 0 remains."""
    return lambda remaining: start * max(remaining, 0.0)


class _Ticking(BaseCallback):
    """Ticks whenever what was collected has been learned from."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def _on_rollout_start(self) -> None:
        self._clock.tick(self.model.num_timesteps)

    def _on_step(self) -> bool:
        return True
