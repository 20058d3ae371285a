"""Overlapped collectors for tests, and what they are compared with."""

from __future__ import annotations

import copy
import time
from typing import Any

import gymnasium as gym
import pytest
import torch
from counting import batch_leaves
from states import assert_same
from tensordict import TensorDict

from hookrl.collectors import ObservationNormalizer, OverlappedCollector, VectorCollector
from hookrl.envs import make_env
from hookrl.models import ActorCritic, QNetwork, SquashedGaussianPolicy

STEPS, ENVS = 9, 2


class Slow(gym.Wrapper):
    """Takes its time, so that a batch is still in flight when others look."""

    def step(self, action: Any) -> Any:
        time.sleep(0.001)
        return self.env.step(action)


ENV = {"actor-critic": "CartPole-v1", "q-network": "CartPole-v1", "squashed": "Pendulum-v1"}
KINDS = {"actor-critic": ActorCritic, "q-network": QNetwork, "squashed": SquashedGaussianPolicy}
each_kind = pytest.mark.parametrize("kind", KINDS)


def policy_of(kind: str = "actor-critic") -> Any:
    env = make_env(ENV[kind])
    generator = torch.Generator().manual_seed(0)
    return KINDS[kind].from_spaces(
        env.observation_space, env.action_space, hidden_sizes=(8,), generator=generator
    )


def plain(policy: Any, kind: str = "actor-critic", **options: Any) -> VectorCollector:
    env = options.pop("env", lambda: Slow(make_env(ENV[kind])))
    options = {"seed": 3, "frames_per_batch": STEPS * ENVS, "num_envs": ENVS, **options}
    return VectorCollector(env, policy, **options)


def overlapped(policy: Any, kind: str = "actor-critic", **options: Any) -> OverlappedCollector:
    return OverlappedCollector(plain(policy, kind, **options))


def normalizer_of(kind: str = "actor-critic") -> ObservationNormalizer:
    return ObservationNormalizer(make_env(ENV[kind]).observation_space)


def learn(policy: Any, batch: int) -> None:
    """Change the policy a lot, in place, as learning from a batch would."""
    generator = torch.Generator().manual_seed(batch)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    if hasattr(policy, "epsilon"):
        policy.epsilon = 1 / (batch + 2)


def lagging_by(lag: int, kind: str, batches: int, **options: Any) -> list[TensorDict]:
    """What a collector in the foreground gives whose policy is so many batches behind, by hand."""
    policy, acting = policy_of(kind), policy_of(kind)
    policies = [copy.deepcopy(policy)]
    collector, collected = plain(acting, kind, **options), []
    for number in range(batches):
        then = policies[max(number - lag, 0)]
        acting.load_state_dict(then.state_dict())
        if hasattr(acting, "epsilon"):
            acting.epsilon = then.epsilon
        batch = collector.collect()
        if kind == "actor-critic":
            flat = batch.reshape(-1)
            log_prob = acting.evaluate_actions(flat["observation"], flat["action"])[0]
            batch["action_log_prob"] = log_prob.detach().view(batch.shape)
        collected.append(batch)
        learn(policy, number)
        policies.append(copy.deepcopy(policy))
    return collected


def trained(collector: OverlappedCollector, policy: Any, batches: range) -> list[TensorDict]:
    """Collect and learn in turns; batches are copied, since learning may write into them."""
    collected = []
    for number in batches:
        batch = collector.collect()
        collected.append(batch.clone())
        batch["observation"].zero_()
        learn(policy, number)
    return collected


def run(kind: str, batches: int = 5, **options: Any) -> list[TensorDict]:
    policy = policy_of(kind)
    collector = overlapped(policy, kind, **options)
    collected = trained(collector, policy, range(batches))
    collector.shutdown()
    return collected


def assert_alike(one: list[TensorDict], other: list[TensorDict]) -> None:
    for left, right in zip(one, other, strict=True):
        assert_same(batch_leaves(left), batch_leaves(right))
