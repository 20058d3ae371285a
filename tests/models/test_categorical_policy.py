"""The softmax policy of discrete SAC."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hookrl.models import CategoricalPolicy, NumpyActor, TorchActor

BOX = spaces.Box(-1, 1, (4,))
ACTIONS = spaces.Discrete(3, start=1)


def observations(size: int) -> torch.Tensor:
    return torch.randn(size, 4, generator=torch.Generator().manual_seed(0))


def test_forward_gives_one_logit_per_action() -> None:
    assert CategoricalPolicy.from_spaces(BOX, ACTIONS)(observations(5)).shape == (5, 3)


@pytest.mark.parametrize("actor_class", [NumpyActor, TorchActor])
def test_actions_are_drawn_with_the_policys_probabilities(actor_class: Any) -> None:
    policy = CategoricalPolicy.from_spaces(BOX, ACTIONS)
    actor = actor_class(policy)
    observation = observations(1).expand(50_000, 4)
    noise = actor.draw_noise(np.random.default_rng(0), (50_000,))
    counts = np.bincount(actor(observation.numpy(), noise) - 1, minlength=3) / 50_000
    with torch.no_grad():
        probability = policy(observation[:1]).softmax(-1)[0].numpy()
    np.testing.assert_allclose(counts, probability, atol=0.01)


def test_numpy_actor_equals_torch() -> None:
    policy = CategoricalPolicy.from_spaces(BOX, ACTIONS)
    actor = policy.actor()
    assert isinstance(actor, NumpyActor)
    noise = actor.draw_noise(np.random.default_rng(0), (200,))
    observation = observations(200).numpy()
    for given in (noise, None):
        np.testing.assert_array_equal(
            actor(observation, given), TorchActor(policy)(observation, given)
        )


def test_building_never_touches_the_global_generator() -> None:
    before = torch.get_rng_state()
    CategoricalPolicy.from_spaces(BOX, ACTIONS)
    assert torch.equal(torch.get_rng_state(), before)


def test_actions_that_are_not_discrete_are_refused() -> None:
    with pytest.raises(TypeError, match="CategoricalPolicy expects Discrete actions, got Box"):
        CategoricalPolicy.from_spaces(BOX, BOX)
