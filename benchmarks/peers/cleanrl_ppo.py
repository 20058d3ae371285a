"""PPO in one script, in the manner of CleanRL's ``ppo.py`` and ``ppo_continuous_action.py``.

Written for this comparison: the same parts in the same order, with what a user of CleanRL gets
(distribution objects, tensors for storage, advantages by a loop, Adam as torch makes it). An
episode cut off by the time limit counts as ended, as there.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import wrappers
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from benchmarks.clock import Clock
from benchmarks.peers.same_step import SameStepCartPole
from benchmarks.work import Policy
from hookrl.configs import PPOConfig


def train(config: PPOConfig, clock: Clock) -> Policy:
    """Train with the script."""
    torch.set_num_threads(config.torch_threads or 1)
    torch.manual_seed(config.seed)
    np.random.seed(config.seed)
    envs = _environments(config)
    agent = Agent(envs, config)
    optimizer = torch.optim.Adam(agent.parameters(), lr=config.learning_rate, eps=config.adam_eps)

    steps, count = config.steps_per_env, config.num_envs
    batch_size = steps * count
    minibatch_size = batch_size // config.minibatches
    observations = torch.zeros((steps, count, *envs.single_observation_space.shape))
    actions = torch.zeros((steps, count, *envs.single_action_space.shape))
    log_probs, rewards, dones, values = (torch.zeros((steps, count)) for _ in range(4))

    clock.start()
    frames = 0
    raw, _ = envs.reset(seed=config.seed)
    observation, done = torch.Tensor(raw), torch.zeros(count)
    updates = -(-config.total_frames // batch_size)
    for update in range(updates):
        if config.anneal_learning_rate:
            optimizer.param_groups[0]["lr"] = (1.0 - update / updates) * config.learning_rate

        for step in range(steps):
            frames += count
            observations[step], dones[step] = observation, done
            with torch.no_grad():
                action, log_prob, _, value = agent(observation)
                values[step] = value.flatten()
            actions[step], log_probs[step] = action, log_prob
            raw, reward, terminated, truncated, _ = envs.step(action.numpy())
            rewards[step] = torch.tensor(reward).view(-1)
            observation = torch.Tensor(raw)
            done = torch.Tensor(np.logical_or(terminated, truncated))

        with torch.no_grad():
            next_value = agent.critic(observation).reshape(1, -1)
            advantages = estimate_advantages(
                rewards, values, dones, next_value, done, config.gamma, config.gae_lambda
            )
            returns = advantages + values

        parts = (observations, actions, log_probs, advantages, returns, values)
        flat = [part.flatten(0, 1) for part in parts]
        indices = np.arange(batch_size)
        for _ in range(config.epochs):
            np.random.shuffle(indices)
            for start in range(0, batch_size, minibatch_size):
                chosen = indices[start : start + minibatch_size]
                loss = _loss(agent, [part[chosen] for part in flat], config)
                optimizer.zero_grad()
                loss.backward()
                if config.max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(agent.parameters(), config.max_grad_norm)
                optimizer.step()
        clock.tick(frames)
    clock.stop(frames)
    view = _frozen_view(envs) if config.normalize_observation else None
    envs.close()
    return Policy(agent.deterministic, view)


def estimate_advantages(
    rewards: Tensor,
    values: Tensor,
    dones: Tensor,
    next_value: Tensor,
    next_done: Tensor,
    gamma: float,
    lmbda: float,
) -> Tensor:
    """Generalised advantage estimation, ``A_t = δ_t + γ λ (1 - d_{t+1}) A_{t+1}``.

    Args:
        rewards: ``[time, envs]``.
        values: of the observations that actions answered, ``[time, envs]``.
        dones: whether an episode begins with those observations, ``[time, envs]``.
        next_value: of what comes after the last step, ``[1, envs]``.
        next_done: whether an episode begins there, ``[envs]``.
        gamma: discount.
        lmbda: λ.
    """
    advantages = torch.zeros_like(rewards)
    last: Any = 0
    for t in reversed(range(len(rewards))):
        final = t == len(rewards) - 1
        goes_on = 1.0 - (next_done if final else dones[t + 1])
        following = next_value if final else values[t + 1]
        delta = rewards[t] + gamma * following * goes_on - values[t]
        advantages[t] = last = delta + gamma * lmbda * goes_on * last
    return advantages


class Agent(nn.Module):
    """Policy and value function, each a network of its own."""

    def __init__(self, envs: Any, config: PPOConfig) -> None:
        super().__init__()
        space = envs.single_action_space
        inputs = int(np.prod(envs.single_observation_space.shape))
        self.discrete = isinstance(space, gym.spaces.Discrete)
        outputs = int(space.n) if self.discrete else int(np.prod(space.shape))
        self.critic = _network(inputs, config.network.hidden_sizes, 1, 1.0)
        self.actor = _network(inputs, config.network.hidden_sizes, outputs, 0.01)
        if not self.discrete:
            self.log_std = nn.Parameter(torch.full((1, outputs), config.network.log_std_init))

    def forward(self, observation: Tensor, action: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return an action, its log-probability, the entropy and the value."""
        output = self.actor(observation)
        if self.discrete:
            choice = Categorical(logits=output)
            action = choice.sample() if action is None else action
            return action, choice.log_prob(action), choice.entropy(), self.critic(observation)
        normal = Normal(output, torch.exp(self.log_std.expand_as(output)))
        action = normal.sample() if action is None else action
        log_prob, entropy = normal.log_prob(action).sum(1), normal.entropy().sum(1)
        return action, log_prob, entropy, self.critic(observation)

    @torch.no_grad()
    def deterministic(self, observation: Any) -> Any:
        """Return the most probable actions."""
        output = self.actor(torch.as_tensor(observation, dtype=torch.float32))
        return output.argmax(-1).numpy() if self.discrete else output.numpy()


def _loss(agent: Agent, parts: list[Tensor], config: PPOConfig) -> Tensor:
    observation, action, old_log_prob, advantage, target, old_value = parts
    _, log_prob, entropy, value = agent(observation, action)
    log_ratio = log_prob - old_log_prob
    ratio = log_ratio.exp()
    with torch.no_grad():  # what CleanRL computes for its log
        ((ratio - 1) - log_ratio).mean()
        ((ratio - 1.0).abs() > config.clip_epsilon).float().mean().item()
    if config.normalize_advantage:
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    clipped = torch.clamp(ratio, 1 - config.clip_epsilon, 1 + config.clip_epsilon)
    policy_loss = torch.max(-advantage * ratio, -advantage * clipped).mean()
    value = value.view(-1)
    value_loss = (value - target) ** 2
    if config.clip_value is not None:
        near = torch.clamp(value - old_value, -config.clip_value, config.clip_value)
        value_loss = torch.max(value_loss, (old_value + near - target) ** 2)
    bonus = config.entropy_coeff * entropy.mean()
    return policy_loss - bonus + config.critic_coeff * value_loss.mean()


def _network(inputs: int, hidden: tuple[int, ...], outputs: int, gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [_layer(inputs, units, np.sqrt(2)), nn.Tanh()]
        inputs = units
    return nn.Sequential(*layers, _layer(inputs, outputs, gain))


def _layer(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.constant_(layer.bias, 0.0)
    return layer


def _environments(config: PPOConfig) -> Any:
    if config.vectorization_mode == "vector_entry_point":
        return SameStepCartPole(config.num_envs)
    functions = [lambda: _environment(config)] * config.num_envs
    return gym.vector.SyncVectorEnv(functions, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)


def _environment(config: PPOConfig) -> gym.Env[Any, Any]:
    """One environment with CleanRL's wrappers, without gymnasium's passive checker."""
    env: Any = gym.make(config.env, disable_env_checker=True, **config.env_kwargs)
    env = wrappers.RecordEpisodeStatistics(env)
    if isinstance(env.action_space, gym.spaces.Box):
        env = wrappers.ClipAction(env)
    if config.normalize_observation:
        env = wrappers.NormalizeObservation(env)
        space = env.observation_space
        env = wrappers.TransformObservation(env, lambda seen: np.clip(seen, -10, 10), space)
    if config.normalize_reward:
        env = wrappers.NormalizeReward(env, gamma=config.gamma)
        env = wrappers.TransformReward(env, lambda reward: np.clip(float(reward), -10, 10))
    return env


def _frozen_view(envs: Any) -> Any:
    """What the policy sees of observations, by the statistics of the first environment."""
    layer = envs.envs[0]
    while not isinstance(layer, wrappers.NormalizeObservation):
        layer = layer.env
    mean, deviation = layer.obs_rms.mean, np.sqrt(layer.obs_rms.var + layer.epsilon)
    return lambda raw: np.clip((np.asarray(raw) - mean) / deviation, -10, 10).astype(np.float32)
