"""PPO from torchrl's parts, put together as in its own examples.

Environments are gymnasium's SyncVectorEnv in torchrl's wrapper, four times as fast as its
SerialEnv.
"""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement
from torchrl.envs import GymWrapper
from torchrl.modules import MLP, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import PPOConfig

_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def train(config: PPOConfig, clock: Clock) -> Policy:
    """Train with torchrl."""
    warnings.filterwarnings("ignore", category=UserWarning)  # that its C++ extension is not loaded
    torch.set_num_threads(config.torch_threads or 1)
    torch.manual_seed(config.seed)
    env = _environments(config)
    env.set_seed(config.seed)
    inputs = int(np.prod(env.observation_spec["observation"].shape[1:]))
    logits = _network(config, inputs, int(env.action_spec.space.n), 0.01)
    actor = ProbabilisticActor(
        TensorDictModule(logits, in_keys=["observation"], out_keys=["logits"]),
        in_keys=["logits"],
        distribution_class=Categorical,
        return_log_prob=True,
    )
    critic = ValueOperator(_network(config, inputs, 1, 1.0), in_keys=["observation"])
    batch_size = config.num_envs * config.steps_per_env
    batches = -(-config.total_frames // batch_size)
    collector = Collector(
        env, actor, frames_per_batch=batch_size, total_frames=batches * batch_size
    )
    advantage = GAE(gamma=config.gamma, lmbda=config.gae_lambda, value_network=critic)
    loss_module = ClipPPOLoss(
        actor,
        critic,
        clip_epsilon=config.clip_epsilon,
        entropy_coeff=config.entropy_coeff,
        critic_coeff=config.critic_coeff,
        loss_critic_type=config.loss_critic_type,
        normalize_advantage=config.normalize_advantage,
        clip_value=config.clip_value or False,
    )
    parameters = list(loss_module.parameters())
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, eps=config.adam_eps)
    buffer = TensorDictReplayBuffer(
        storage=LazyTensorStorage(batch_size),
        sampler=SamplerWithoutReplacement(),
        batch_size=batch_size // config.minibatches,
    )

    clock.start()
    frames = 0
    for index, data in enumerate(collector):
        if config.anneal_learning_rate:
            optimizer.param_groups[0]["lr"] = config.learning_rate * (1 - index / batches)
        with torch.no_grad():
            data = advantage(data)
        buffer.extend(data.reshape(-1))
        for _ in range(config.epochs):
            for minibatch in buffer:
                losses = loss_module(minibatch)
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                if config.max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
                optimizer.step()
        collector.update_policy_weights_()
        frames += data.numel()
        clock.tick(frames)
    clock.stop(frames)
    collector.shutdown()

    @torch.no_grad()
    def act(observation: Any) -> Any:
        return logits(torch.as_tensor(observation, dtype=torch.float32)).argmax(-1).numpy()

    return Policy(act)


def _network(config: PPOConfig, inputs: int, outputs: int, gain: float) -> MLP:
    network = MLP(
        in_features=inputs,
        out_features=outputs,
        num_cells=[*config.network.hidden_sizes],
        activation_class=_ACTIVATIONS[config.network.activation],
    )
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain if layer is layers[-1] else np.sqrt(2))
        nn.init.zeros_(layer.bias)
    return network


def _environments(config: PPOConfig) -> GymWrapper:
    def make() -> gym.Env[Any, Any]:
        return gym.make(config.env, disable_env_checker=True, **config.env_kwargs)

    # torchrl resets what ended by itself.
    mode = gym.vector.AutoresetMode.DISABLED
    vector = gym.vector.SyncVectorEnv([make] * config.num_envs, autoreset_mode=mode)
    return GymWrapper(vector, categorical_action_encoding=True)
