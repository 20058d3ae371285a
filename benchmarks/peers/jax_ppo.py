"""PPO on CartPole in JAX, the whole loop one compiled program.

Written for this comparison after the idea of PureJaxRL: environments, policy and updates are
nothing but scans. Adam is written out. An episode cut off by the time limit counts as ended.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.clock import Clock
from benchmarks.peers.jax_cart_pole import Carts, begin, step
from benchmarks.work import Policy
from hookrl.configs import PPOConfig

Parameters = dict[str, list[tuple[jax.Array, jax.Array]]]
"""Weights ``[in, out]`` and biases of each layer, of "actor" and "critic"."""
_BETA_1, _BETA_2 = 0.9, 0.999


class Rollout(NamedTuple):
    """What was seen in every step, ``[time, envs, …]``, or in a minibatch."""

    observation: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    reward: jax.Array
    done: jax.Array


class Learner(NamedTuple):
    """Everything that one iteration hands to the next."""

    parameters: Parameters
    means: Parameters
    """Of gradients, as Adam keeps them."""
    squares: Parameters
    """Means of their squares."""
    steps: jax.Array
    """Optimization steps so far."""
    carts: Carts
    key: jax.Array


def train(config: PPOConfig, clock: Clock) -> Policy:
    """Train with the script; compiling is timed too, as part of the beginning."""
    jax.config.update("jax_platforms", "cpu")
    batch = config.num_envs * config.steps_per_env
    iterations = -(-config.total_frames // batch)
    learner = initial(config)
    clock.start()
    run = jax.jit(partial(iterate, config)).lower(learner, 0, 0, 0).compile()
    done = 0
    for until in (-(-clock.beginning // batch), iterations):
        learner = jax.block_until_ready(run(learner, done, int(until), iterations))
        done = int(until)
        clock.tick(done * batch)
    clock.stop(done * batch)
    actor = [(np.asarray(w), np.asarray(b)) for w, b in learner.parameters["actor"]]

    def act(observation: Any) -> Any:
        hidden = np.asarray(observation)
        for weight, bias in actor[:-1]:
            hidden = np.tanh(hidden @ weight + bias)
        return (hidden @ actor[-1][0] + actor[-1][1]).argmax(-1)

    return Policy(act)


def initial(config: PPOConfig) -> Learner:
    """Return a learner with orthogonal weights, and carts at the start of their episodes."""
    key, carts_key, *keys = random.split(random.key(config.seed), 4)
    parameters = {
        name: _network(key, [4, *config.network.hidden_sizes, outputs], gain)
        for name, key, outputs, gain in (("actor", keys[0], 2, 0.01), ("critic", keys[1], 1, 1.0))
    }
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    carts = begin(carts_key, config.num_envs)
    return Learner(parameters, zeros, zeros, jnp.zeros((), jnp.int32), carts, key)


def iterate(config: PPOConfig, learner: Learner, start: Any, stop: Any, total: Any) -> Learner:
    """Carry out the iterations from `start` to before `stop`, of `total` in the whole training."""

    def one(index: jax.Array, learner: Learner) -> Learner:
        share = 1.0 - index / total if config.anneal_learning_rate else 1.0
        return _iteration(config, learner, config.learning_rate * share)

    return lax.fori_loop(start, stop, one, learner)


def _iteration(config: PPOConfig, learner: Learner, rate: jax.Array | float) -> Learner:
    parameters = learner.parameters

    def act(state: tuple[Carts, jax.Array], _: None) -> tuple[tuple[Carts, jax.Array], Rollout]:
        carts, key = state
        key, action_key, reset_key = random.split(key, 3)
        logits = _apply(parameters["actor"], carts.physics)
        action = random.categorical(action_key, logits)
        log_prob = _chosen(jax.nn.log_softmax(logits), action)
        value = _apply(parameters["critic"], carts.physics)[:, 0]
        after, reward, done = step(carts, action, reset_key)
        seen = Rollout(carts.physics, action, log_prob, value, reward, done)
        return (after, key), seen

    (carts, key), seen = lax.scan(act, (learner.carts, learner.key), None, config.steps_per_env)
    last_value = _apply(parameters["critic"], carts.physics)[:, 0]
    advantages = estimate_advantages(
        seen.reward, seen.value, seen.done, last_value, config.gamma, config.gae_lambda
    )
    data = (seen, advantages, advantages + seen.value)
    flat = jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:]), data)
    learner = learner._replace(carts=carts, key=key)

    def epoch(learner: Learner, _: None) -> tuple[Learner, None]:
        key, order_key = random.split(learner.key)
        order = random.permutation(order_key, config.steps_per_env * config.num_envs)
        order = order.reshape(config.minibatches, -1)
        learner = learner._replace(key=key)

        def minibatch(learner: Learner, chosen: jax.Array) -> tuple[Learner, None]:
            parts = jax.tree.map(lambda part: part[chosen], flat)
            gradients = jax.grad(partial(_loss, config))(learner.parameters, *parts)
            return _adam(config, learner, gradients, rate), None

        return lax.scan(minibatch, learner, order)

    return lax.scan(epoch, learner, None, config.epochs)[0]


def estimate_advantages(
    reward: jax.Array,
    value: jax.Array,
    done: jax.Array,
    last_value: jax.Array,
    gamma: float,
    lmbda: float,
) -> jax.Array:
    """Generalised advantages over ``[time, envs]``, ``A_t = δ_t + γ λ (1 - d_t) A_{t+1}``.

    `done` says whether the step ended an episode, `last_value` is of what comes after the last.
    """

    def back(following: Any, seen: Any) -> Any:
        advantage, next_value = following
        reward, value, done = seen
        goes_on = 1.0 - done
        delta = reward + gamma * next_value * goes_on - value
        advantage = delta + gamma * lmbda * goes_on * advantage
        return (advantage, value), advantage

    start = (jnp.zeros_like(last_value), last_value)
    return lax.scan(back, start, (reward, value, done), reverse=True)[1]


def _loss(
    config: PPOConfig,
    parameters: Parameters,
    seen: Rollout,
    advantage: jax.Array,
    target: jax.Array,
) -> jax.Array:
    log_probs = jax.nn.log_softmax(_apply(parameters["actor"], seen.observation))
    value = _apply(parameters["critic"], seen.observation)[:, 0]
    entropy = -(jnp.exp(log_probs) * log_probs).sum(-1).mean()
    ratio = jnp.exp(_chosen(log_probs, seen.action) - seen.log_prob)
    if config.normalize_advantage:
        advantage = (advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-8)
    clipped = jnp.clip(ratio, 1 - config.clip_epsilon, 1 + config.clip_epsilon)
    policy_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
    value_loss = jnp.square(value - target)
    if config.clip_value is not None:
        near = jnp.clip(value - seen.value, -config.clip_value, config.clip_value)
        value_loss = jnp.maximum(value_loss, jnp.square(seen.value + near - target))
    return policy_loss - config.entropy_coeff * entropy + config.critic_coeff * value_loss.mean()


def _adam(
    config: PPOConfig, learner: Learner, gradients: Parameters, rate: jax.Array | float
) -> Learner:
    """One step of Adam on gradients whose total norm is bounded."""
    if config.max_grad_norm is not None:
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(gradients)))
        scale = jnp.minimum(1.0, config.max_grad_norm / (norm + 1e-6))
        gradients = jax.tree.map(lambda g: g * scale, gradients)
    steps = learner.steps + 1
    means = jax.tree.map(lambda m, g: _BETA_1 * m + (1 - _BETA_1) * g, learner.means, gradients)
    squares = jax.tree.map(
        lambda s, g: _BETA_2 * s + (1 - _BETA_2) * g * g, learner.squares, gradients
    )
    mean_scale, square_scale = 1 - _BETA_1**steps, 1 - _BETA_2**steps
    parameters = jax.tree.map(
        lambda p, m, s: (
            p - rate * (m / mean_scale) / (jnp.sqrt(s / square_scale) + config.adam_eps)
        ),
        learner.parameters,
        means,
        squares,
    )
    return learner._replace(parameters=parameters, means=means, squares=squares, steps=steps)


def _network(key: jax.Array, sizes: list[int], gain: float) -> list[tuple[jax.Array, jax.Array]]:
    gains = [np.sqrt(2)] * (len(sizes) - 2) + [gain]
    return [
        (jax.nn.initializers.orthogonal(scale)(key, (inputs, outputs)), jnp.zeros(outputs))
        for key, inputs, outputs, scale in zip(
            random.split(key, len(gains)), sizes, sizes[1:], gains, strict=False
        )
    ]


def _apply(layers: list[tuple[jax.Array, jax.Array]], hidden: jax.Array) -> jax.Array:
    for weight, bias in layers[:-1]:
        hidden = jnp.tanh(hidden @ weight + bias)
    return hidden @ layers[-1][0] + layers[-1][1]


def _chosen(log_probs: jax.Array, action: jax.Array) -> jax.Array:
    return jnp.take_along_axis(log_probs, action[:, None], axis=-1)[:, 0]
