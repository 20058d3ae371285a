"""Batched critics: equal to separate ones, independently drawn, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDict
from torch import Tensor, nn

from hookrl.models import TwinCritics
from hookrl.models.twin_critics import BatchedLinear

BOX = spaces.Box(-1, 1, (4,))
IMAGE = spaces.Box(0, 255, (36, 36, 3), dtype=np.uint8)
CONTINUOUS, DISCRETE = spaces.Box(-1, 1, (2, 3)), spaces.Discrete(5)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def separate(critics: TwinCritics) -> list[nn.Sequential]:
    """Each critic as a perceptron of its own, with the same weights."""
    assert isinstance(critics.net, nn.Sequential)
    networks = []
    for index in range(len(critics.net[0].weight)):
        layers: list[nn.Module] = []
        for layer in critics.net:
            if isinstance(layer, BatchedLinear):
                _, inputs, outputs = layer.weight.shape
                plain = nn.Linear(inputs, outputs)
                plain.weight.data = layer.weight.data[index].T.clone()
                plain.bias.data = layer.bias.data[index, 0].clone()
                layers.append(plain)
            else:
                layers.append(type(layer)())
        networks.append(nn.Sequential(*layers))
    return networks


@pytest.mark.parametrize("num_critics", [1, 2, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_batched_critics_equal_separate_perceptrons(num_critics: int, activation: str) -> None:
    critics = TwinCritics.from_spaces(
        BOX, CONTINUOUS, num_critics=num_critics, hidden_sizes=(16, 8), activation=activation
    )
    observation, action = draw(32, 4), draw(32, 2, 3, seed=1)
    networks = separate(critics)
    inputs = torch.cat([observation, action.reshape(32, 6)], 1)
    expected = torch.stack([network(inputs) for network in networks])
    values = critics(observation, action)
    assert values.shape == (num_critics, 32, 1)
    torch.testing.assert_close(values, expected)
    values.square().mean((1, 2)).sum().backward()
    expected.square().mean((1, 2)).sum().backward()
    assert isinstance(critics.net, nn.Sequential)
    for index, network in enumerate(networks):
        for batched, plain in zip(critics.net, network, strict=True):
            if isinstance(batched, BatchedLinear) and isinstance(plain, nn.Linear):
                assert batched.weight.grad is not None
                assert batched.bias.grad is not None
                torch.testing.assert_close(batched.weight.grad[index].T, plain.weight.grad)
                torch.testing.assert_close(batched.bias.grad[index, 0], plain.bias.grad)


def test_gradients_reach_the_action() -> None:
    critics = TwinCritics.from_spaces(BOX, CONTINUOUS, hidden_sizes=(8,))
    action = draw(3, 2, 3).requires_grad_()
    critics(draw(3, 4), action).amin(0).sum().backward()
    assert action.grad is not None
    assert action.grad.abs().min() > 0


def test_discrete_actions_get_a_value_each() -> None:
    assert TwinCritics.from_spaces(BOX, DISCRETE)(draw(7, 4)).shape == (2, 7, 5)


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (IMAGE, torch.zeros(2, 36, 36, 3, dtype=torch.uint8)),
        (spaces.Discrete(3), torch.zeros(2, dtype=torch.long)),
        (spaces.Dict({"a": BOX}), TensorDict({"a": torch.zeros(2, 4)}, [2])),
    ],
    ids=["image", "discrete", "dict"],
)
def test_every_observation_space_is_taken(space: spaces.Space[Any], observation: Any) -> None:
    assert TwinCritics.from_spaces(space, CONTINUOUS)(observation, draw(2, 2, 3)).shape == (2, 2, 1)


def test_critics_start_apart_and_as_torchs_own_layers_do() -> None:
    layer = TwinCritics.from_spaces(BOX, CONTINUOUS).get_submodule("net.0")
    assert isinstance(layer, BatchedLinear)
    bound = 10**-0.5
    for tensor in (layer.weight, layer.bias):
        assert 0.9 * bound < tensor.abs().max() <= bound
        assert not torch.equal(tensor[0], tensor[1])


def test_weights_depend_on_the_given_generator_alone() -> None:
    def weights(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        critics = TwinCritics.from_spaces(BOX, CONTINUOUS, generator=generator)
        return nn.utils.parameters_to_vector(critics.parameters())

    before = torch.get_rng_state()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "space",
    [spaces.MultiDiscrete([2, 2]), spaces.Box(0, 3, (2,), np.int32)],
    ids=["multi-discrete", "integers"],
)
def test_other_actions_are_refused(space: spaces.Space[Any]) -> None:
    with pytest.raises(TypeError, match="expects Discrete actions or a Box of floats, got"):
        TwinCritics.from_spaces(BOX, space)


def test_critics_of_a_box_ask_for_the_action() -> None:
    with pytest.raises(TypeError, match="expects an action, got None"):
        TwinCritics.from_spaces(BOX, CONTINUOUS)(draw(3, 4))


@pytest.mark.parametrize("bad", [{"num_critics": 0}, {"hidden_sizes": (8, 0)}])
def test_numbers_below_one_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="TwinCritics expects numbers of at least 1"):
        TwinCritics.from_spaces(BOX, CONTINUOUS, **bad)


def test_unknown_activation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"got 'rellu' .did you mean 'relu'"):
        TwinCritics.from_spaces(BOX, CONTINUOUS, activation="rellu")
