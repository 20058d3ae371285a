"""SAC in one script, in the manner of CleanRL's ``sac_continuous_action.py``.

Written for this comparison: the same parts in the same order, with Stable-Baselines3's replay
buffer, which CleanRL uses. There two updates of the policy follow every second one of the critics;
here one follows each, as on the other sides.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import SACConfig

_LOG_STD = (-5.0, 2.0)


def train(config: SACConfig, clock: Clock) -> Policy:
    """Train with the script."""
    torch.set_num_threads(config.torch_threads or 1)
    torch.manual_seed(config.seed)
    np.random.seed(config.seed)
    envs = gym.vector.SyncVectorEnv(
        [lambda: _environment(config)], autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
    )
    envs.single_action_space.seed(config.seed)
    actor = Actor(envs, config)
    first, second, first_target, second_target = (Critic(envs, config) for _ in range(4))
    first_target.load_state_dict(first.state_dict())
    second_target.load_state_dict(second.state_dict())
    q_optimizer = torch.optim.Adam(
        [*first.parameters(), *second.parameters()], lr=config.learning_rate
    )
    actor_optimizer = torch.optim.Adam(list(actor.parameters()), lr=config.learning_rate)
    target_entropy = -float(_size(envs.single_action_space))
    log_alpha = torch.full((1,), float(np.log(config.alpha)), requires_grad=True)
    alpha = log_alpha.exp().item()
    alpha_optimizer = torch.optim.Adam([log_alpha], lr=config.learning_rate)
    observation_space: Any = envs.single_observation_space
    observation_space.dtype = np.float32  # of what the buffer keeps
    buffer = ReplayBuffer(
        config.replay.capacity,
        observation_space,
        envs.single_action_space,
        "cpu",
        handle_timeout_termination=False,
    )

    clock.start()
    observation, _ = envs.reset(seed=config.seed)
    for frame in range(config.total_frames):
        if frame < config.replay.learning_starts:
            action = np.array([envs.single_action_space.sample()])
        else:
            action = actor.sample(torch.Tensor(observation))[0].detach().numpy()
        following, reward, terminated, truncated, infos = envs.step(action)
        real = following.copy()
        if truncated[0] or terminated[0]:
            real[0] = infos["final_obs"][0]
        buffer.add(observation, real, action, reward, terminated, [{}])
        observation = following

        if frame > config.replay.learning_starts:
            data = buffer.sample(config.replay.batch_size)
            with torch.no_grad():
                next_action, next_log_prob = actor.sample(data.next_observations)
                next_value = torch.min(
                    first_target(data.next_observations, next_action),
                    second_target(data.next_observations, next_action),
                )
                target = soft_target(data, next_value - alpha * next_log_prob, config.gamma)
            first_value = first(data.observations, data.actions).view(-1)
            second_value = second(data.observations, data.actions).view(-1)
            q_loss = F.mse_loss(first_value, target) + F.mse_loss(second_value, target)
            q_optimizer.zero_grad()
            q_loss.backward()
            q_optimizer.step()

            drawn, log_prob = actor.sample(data.observations)
            value = torch.min(first(data.observations, drawn), second(data.observations, drawn))
            actor_loss = (alpha * log_prob - value).mean()
            actor_optimizer.zero_grad()
            actor_loss.backward()
            actor_optimizer.step()

            if config.learn_alpha:
                with torch.no_grad():
                    _, log_prob = actor.sample(data.observations)
                alpha_loss = (-log_alpha.exp() * (log_prob + target_entropy)).mean()
                alpha_optimizer.zero_grad()
                alpha_loss.backward()
                alpha_optimizer.step()
                alpha = log_alpha.exp().item()

            for source, copy in ((first, first_target), (second, second_target)):
                for new, old in zip(source.parameters(), copy.parameters(), strict=True):
                    old.data.copy_(config.tau * new.data + (1 - config.tau) * old.data)
        clock.tick(frame + 1)
    clock.stop(config.total_frames)
    envs.close()
    return Policy(actor.deterministic)


def soft_target(data: Any, next_value: Tensor, gamma: float) -> Tensor:
    """Return ``r + γ (1 - d) V(s')``, ``[batch]``."""
    return data.rewards.flatten() + (1 - data.dones.flatten()) * gamma * next_value.view(-1)


class Critic(nn.Module):
    """The value of an action."""

    def __init__(self, envs: Any, config: SACConfig) -> None:
        super().__init__()
        inputs = _size(envs.single_observation_space) + _size(envs.single_action_space)
        self.body, width = _body(inputs, config)
        self.head = nn.Linear(width, 1)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return values ``[batch, 1]``."""
        return self.head(self.body(torch.cat([observation, action], 1)))


class Actor(nn.Module):
    """A Gaussian squashed into the bounds of the action space."""

    action_scale: Tensor
    action_bias: Tensor

    def __init__(self, envs: Any, config: SACConfig) -> None:
        super().__init__()
        space: Any = envs.single_action_space
        self.body, width = _body(_size(envs.single_observation_space), config)
        self.mean = nn.Linear(width, _size(space))
        self.log_std = nn.Linear(width, _size(space))
        scale, bias = (space.high - space.low) / 2.0, (space.high + space.low) / 2.0
        self.register_buffer("action_scale", torch.tensor(scale, dtype=torch.float32))
        self.register_buffer("action_bias", torch.tensor(bias, dtype=torch.float32))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean before squashing, and the logarithm of the standard deviation."""
        hidden = self.body(observation)
        low, high = _LOG_STD
        log_std = low + 0.5 * (high - low) * (torch.tanh(self.log_std(hidden)) + 1)
        return self.mean(hidden), log_std

    def sample(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions and their log-probabilities, ``[batch, …]`` and ``[batch, 1]``."""
        mean, log_std = self(observation)
        normal = Normal(mean, log_std.exp())
        drawn = normal.rsample()
        squashed = torch.tanh(drawn)
        # The density of what tanh makes of a number.
        slope = torch.log(self.action_scale * (1 - squashed.pow(2)) + 1e-6)
        log_prob = (normal.log_prob(drawn) - slope).sum(1, keepdim=True)
        return squashed * self.action_scale + self.action_bias, log_prob

    @torch.no_grad()
    def deterministic(self, observation: Any) -> Any:
        """Return the squashed means."""
        mean, _ = self(torch.as_tensor(observation, dtype=torch.float32))
        return (torch.tanh(mean) * self.action_scale + self.action_bias).numpy()


def _body(inputs: int, config: SACConfig) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = []
    for units in config.network.hidden_sizes:
        layers += [nn.Linear(inputs, units), nn.ReLU()]
        inputs = units
    return nn.Sequential(*layers), inputs


def _size(space: Any) -> int:
    return int(np.prod(space.shape))


def _environment(config: SACConfig) -> gym.Env[Any, Any]:
    env: Any = gym.make(config.env, disable_env_checker=True, **config.env_kwargs)
    return gym.wrappers.RecordEpisodeStatistics(env)
