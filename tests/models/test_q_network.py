"""Q-networks: values, dueling, ε-greedy actions, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from q_networks import ACTIONS, BOX, network_for, observations
from tensordict import TensorDict
from torch import Tensor, nn

from hookrl.models import NumpyActor, QNetwork, TorchActor
from hookrl.models.epsilon_greedy import EpsilonGreedyActor

IMAGE = spaces.Box(0, 255, (36, 36, 3), dtype=np.uint8)
both_actors = pytest.mark.parametrize("actor_class", [NumpyActor, TorchActor])
plain_and_dueling = pytest.mark.parametrize("dueling", [False, True], ids=["plain", "dueling"])


@plain_and_dueling
@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (BOX, torch.zeros(2, 4)),
        (IMAGE, torch.zeros(2, 36, 36, 3, dtype=torch.uint8)),
        (spaces.Discrete(3), torch.zeros(2, dtype=torch.long)),
        (
            spaces.Dict({"a": BOX, "b": spaces.Discrete(2)}),
            TensorDict({"a": torch.zeros(2, 4), "b": torch.zeros(2, dtype=torch.long)}, [2]),
        ),
    ],
    ids=["box", "image", "discrete", "dict"],
)
def test_every_observation_space_gives_one_value_per_action(
    dueling: bool, space: spaces.Space[Any], observation: Any
) -> None:
    values = QNetwork.from_spaces(space, ACTIONS, dueling=dueling)(observation)
    assert values.shape == (2, 3)
    assert values.dtype == torch.float32


def test_plain_network_is_cleanrls() -> None:
    kinds = [(type(m), getattr(m, "out_features", None)) for m in network_for().action_net]
    assert kinds == [
        (nn.Linear, 120),
        (nn.ReLU, None),
        (nn.Linear, 84),
        (nn.ReLU, None),
        (nn.Linear, 3),
    ]


def test_dueling_values_are_state_value_plus_centred_advantage() -> None:
    network = network_for(dueling=True)
    observation = torch.as_tensor(observations(6))
    features = network.trunk(observation)
    assert network.value_net is not None
    value, advantage = network.value_net(features), network.action_net(features)
    expected = torch.stack([value[:, 0] + advantage[:, a] - advantage.mean(1) for a in range(3)], 1)
    torch.testing.assert_close(network(observation), expected)
    torch.testing.assert_close(network(observation).mean(1, keepdim=True), value)


def test_dueling_streams_share_all_but_the_last_hidden_layer() -> None:
    network = network_for(dueling=True, hidden_sizes=(7, 6, 5))
    assert [p.shape[0] for p in network.trunk.parameters()] == [7, 7, 6, 6]
    assert [p.shape[0] for p in network.action_net.parameters()] == [5, 5, 3, 3]
    assert isinstance(network.value_net, nn.Module)
    assert [p.shape[0] for p in network.value_net.parameters()] == [5, 5, 1, 1]


def test_dueling_on_images_is_the_published_network() -> None:
    network = QNetwork.from_spaces(
        spaces.Box(0, 255, (4, 84, 84), dtype=np.uint8), spaces.Discrete(6), dueling=True
    )
    shapes = [tuple(p.shape) for p in network.action_net.parameters()]
    assert shapes == [(512, 3136), (512,), (6, 512), (6,)]


def test_weights_start_as_torchs_own_layers_do() -> None:
    layer = QNetwork.from_spaces(BOX, ACTIONS).get_submodule("action_net.2")
    bound = 120**-0.5
    assert isinstance(layer, nn.Linear)
    assert 0.9 * bound < layer.weight.abs().max() <= bound
    assert 0.9 * bound < layer.bias.abs().max() <= bound


@plain_and_dueling
def test_building_never_touches_the_global_generator(dueling: bool) -> None:
    before = torch.get_rng_state()
    QNetwork.from_spaces(IMAGE, ACTIONS, dueling=dueling)
    QNetwork.from_spaces(BOX, ACTIONS, dueling=dueling, generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_depend_on_the_given_generator_alone() -> None:
    def weights(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        network = QNetwork.from_spaces(BOX, ACTIONS, generator=generator)
        return nn.utils.parameters_to_vector(network.parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    "action_space",
    [
        spaces.Box(-1, 1, (2,)),
        spaces.MultiDiscrete([2, 3]),
        spaces.Dict({"a": spaces.Discrete(2)}),
    ],
    ids=["box", "multi-discrete", "dict"],
)
def test_actions_that_are_not_discrete_are_refused(action_space: spaces.Space[Any]) -> None:
    with pytest.raises(TypeError, match=r"QNetwork expects Discrete actions.*, got .*\.$"):
        QNetwork.from_spaces(BOX, action_space)


def test_unsupported_observations_are_refused() -> None:
    with pytest.raises(TypeError, match="space of observation is Text"):
        QNetwork.from_spaces(spaces.Text(3), ACTIONS)


@both_actors
@plain_and_dueling
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_without_noise_the_actor_takes_the_largest_value(
    actor_class: Any, dueling: bool, activation: str
) -> None:
    network = network_for(dueling=dueling, activation=activation)
    observation = observations(64)
    with torch.no_grad():
        greedy = network(torch.as_tensor(observation)).argmax(-1) + 5
    actor = actor_class(network)
    np.testing.assert_array_equal(actor(observation), greedy.numpy())
    assert torch.equal(actor(torch.as_tensor(observation)), greedy)
    assert len(set(greedy.tolist())) > 1


@plain_and_dueling
def test_numpy_actor_equals_torch(dueling: bool) -> None:
    network = network_for(dueling=dueling)
    network.epsilon = 0.5
    numpy_actor, torch_actor = NumpyActor(network), TorchActor(network)
    noise = numpy_actor.draw_noise(np.random.default_rng(0), (200,))
    observation = observations(200)
    action = numpy_actor(observation, noise)
    assert action.dtype == np.int64
    np.testing.assert_array_equal(action, torch_actor(observation, noise))
    tensors = torch.as_tensor(observation), torch.as_tensor(noise)
    np.testing.assert_array_equal(action, numpy_actor(*tensors).numpy())


@pytest.mark.parametrize("dueling", [False, True])
def test_flat_perceptrons_on_the_cpu_act_in_numpy(dueling: bool) -> None:
    assert isinstance(network_for(dueling=dueling).actor(), EpsilonGreedyActor)


def test_images_act_in_torch() -> None:
    network = QNetwork.from_spaces(IMAGE, ACTIONS)
    actor = network.actor()
    assert isinstance(actor, TorchActor)
    noise = actor.draw_noise(np.random.default_rng(0), (2,))
    assert actor(np.zeros((2, 36, 36, 3), np.uint8), noise).shape == (2,)


@both_actors
def test_actor_sees_the_weights_after_an_optimizer_step(actor_class: Any) -> None:
    network = network_for(dueling=True)
    actor = actor_class(network)
    before = actor(observations(64))
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    network(torch.as_tensor(observations(64)))[:, 2].sum().neg().backward()
    optimizer.step()
    assert not np.array_equal(actor(observations(64)), before)
