"""DQN from torchrl's parts, put together as in its own examples."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import torch
from tensordict.nn import TensorDictSequential
from torch import nn
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import GymWrapper
from torchrl.modules import MLP, EGreedyModule, QValueActor
from torchrl.objectives import DQNLoss, HardUpdate

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import DQNConfig

_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def train(config: DQNConfig, clock: Clock) -> Policy:
    """Train with torchrl."""
    warnings.filterwarnings("ignore", category=UserWarning)  # that its C++ extension is not loaded
    torch.set_num_threads(config.torch_threads or 1)
    torch.manual_seed(config.seed)
    made = gym.make(config.env, disable_env_checker=True, **config.env_kwargs)
    env = GymWrapper(made, categorical_action_encoding=True)
    env.set_seed(config.seed)
    network = MLP(
        in_features=env.observation_spec["observation"].shape[-1],
        out_features=int(env.action_spec.space.n),
        num_cells=[*config.network.hidden_sizes],
        activation_class=_ACTIVATIONS[config.network.activation],
    )
    actor = QValueActor(network, in_keys=["observation"], spec=env.action_spec)
    exploration = EGreedyModule(
        spec=env.action_spec,
        eps_init=config.epsilon_start,
        eps_end=config.epsilon_end,
        annealing_num_steps=int(config.exploration_fraction * config.total_frames),
    )
    collector = Collector(
        env,
        TensorDictSequential(actor, exploration),
        frames_per_batch=config.train_frequency,
        total_frames=config.total_frames,
        init_random_frames=config.replay.learning_starts,
    )
    buffer = TensorDictReplayBuffer(
        storage=LazyTensorStorage(config.replay.capacity), batch_size=config.replay.batch_size
    )
    loss_module = DQNLoss(
        actor, loss_function=config.loss_function, delay_value=True, action_space="categorical"
    )
    loss_module.make_value_estimator(gamma=config.gamma)
    target_updater = HardUpdate(loss_module, value_network_update_interval=config.target_interval)
    optimizer = torch.optim.Adam(loss_module.parameters(), lr=config.learning_rate)

    clock.start()
    frames = 0
    for data in collector:
        frames += data.numel()
        exploration.step(data.numel())
        buffer.extend(data.reshape(-1))
        if frames > config.replay.learning_starts:
            for _ in range(config.gradient_steps):
                loss = loss_module(buffer.sample())["loss"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                target_updater.step()
            collector.update_policy_weights_()
        clock.tick(frames)
    clock.stop(frames)
    collector.shutdown()

    @torch.no_grad()
    def act(observation: Any) -> Any:
        return network(torch.as_tensor(observation, dtype=torch.float32)).argmax(-1).numpy()

    return Policy(act)
