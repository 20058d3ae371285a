"""DQN in one script, in the manner of CleanRL's ``dqn.py``.

Written for this comparison: one environment in gymnasium's SyncVectorEnv, Stable-Baselines3's
replay buffer, which CleanRL uses, the squared error, and Adam as torch makes it.
"""

from __future__ import annotations

import random
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import DQNConfig


def train(config: DQNConfig, clock: Clock) -> Policy:
    """Train with the script."""
    torch.set_num_threads(config.torch_threads or 1)
    torch.manual_seed(config.seed)
    random.seed(config.seed)
    np.random.seed(config.seed)
    envs = gym.vector.SyncVectorEnv(
        [lambda: _environment(config)], autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
    )
    envs.single_action_space.seed(config.seed)
    q_network, target_network = QNetwork(envs, config), QNetwork(envs, config)
    target_network.load_state_dict(q_network.state_dict())
    optimizer = torch.optim.Adam(q_network.parameters(), lr=config.learning_rate)
    buffer = ReplayBuffer(
        config.replay.capacity,
        envs.single_observation_space,
        envs.single_action_space,
        "cpu",
        handle_timeout_termination=False,
    )
    target_every = config.target_interval * config.train_frequency

    clock.start()
    observation, _ = envs.reset(seed=config.seed)
    exploration = config.exploration_fraction * config.total_frames
    for frame in range(config.total_frames):
        epsilon = linear(config.epsilon_start, config.epsilon_end, exploration, frame)
        if random.random() < epsilon:
            action = np.array([envs.single_action_space.sample()])
        else:
            action = torch.argmax(q_network(torch.Tensor(observation)), dim=1).numpy()
        following, reward, terminated, truncated, infos = envs.step(action)
        real = following.copy()
        if truncated[0] or terminated[0]:
            real[0] = infos["final_obs"][0]
        buffer.add(observation, real, action, reward, terminated, [{}])
        observation = following

        if frame > config.replay.learning_starts:
            if frame % config.train_frequency == 0:
                for _ in range(config.gradient_steps):
                    data = buffer.sample(config.replay.batch_size)
                    loss = td_loss(q_network, target_network, data, config.gamma)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            if frame % target_every == 0:
                pairs = zip(target_network.parameters(), q_network.parameters(), strict=True)
                for target, source in pairs:
                    target.data.copy_(config.tau * source.data + (1.0 - config.tau) * target.data)
        clock.tick(frame + 1)
    clock.stop(config.total_frames)
    envs.close()

    @torch.no_grad()
    def act(observation: Any) -> Any:
        return q_network(torch.as_tensor(observation, dtype=torch.float32)).argmax(-1).numpy()

    return Policy(act)


def linear(start: float, end: float, duration: float, now: int) -> float:
    """Return what falls from `start` to `end` over `duration`, and stays there."""
    return max((end - start) / duration * now + start, end)


def td_loss(q_network: nn.Module, target_network: nn.Module, data: Any, gamma: float) -> Tensor:
    """Return the mean of ``(r + γ (1 - d) max_a' Q'(s', a') - Q(s, a))²``."""
    with torch.no_grad():
        best, _ = target_network(data.next_observations).max(dim=1)
        target = data.rewards.flatten() + gamma * best * (1 - data.dones.flatten())
    value = q_network(data.observations).gather(1, data.actions).squeeze()
    return F.mse_loss(target, value)


class QNetwork(nn.Module):
    """Values of all actions."""

    def __init__(self, envs: Any, config: DQNConfig) -> None:
        super().__init__()
        inputs = int(np.prod(envs.single_observation_space.shape))
        layers: list[nn.Module] = []
        for units in config.network.hidden_sizes:
            layers += [nn.Linear(inputs, units), nn.ReLU()]
            inputs = units
        self.network = nn.Sequential(*layers, nn.Linear(inputs, int(envs.single_action_space.n)))

    def forward(self, observation: Tensor) -> Tensor:
        """Return values ``[batch, actions]``."""
        return self.network(observation)


def _environment(config: DQNConfig) -> gym.Env[Any, Any]:
    env: Any = gym.make(config.env, disable_env_checker=True, **config.env_kwargs)
    return gym.wrappers.RecordEpisodeStatistics(env)
