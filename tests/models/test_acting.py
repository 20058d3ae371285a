"""Actors: both agree with the network, before and after it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn
from torch.nn.utils import prune

from hookrl.models import ActorCritic, NumpyActor, TorchActor

BOX = spaces.Box(-1, 1, (4,))
IMAGE = spaces.Box(0, 255, (36, 36, 3), dtype=np.uint8)
ACTIONS = {
    "discrete": spaces.Discrete(3, start=1),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "box": spaces.Box(-1, 1, (2, 2)),
    "dict": spaces.Dict({"x": spaces.Discrete(2), "y": spaces.Box(-1, 1, (2,))}),
}
every_action_space = pytest.mark.parametrize("action_space", ACTIONS.values(), ids=ACTIONS)
both_actors = pytest.mark.parametrize("actor_class", [NumpyActor, TorchActor])


def network_for(action_space: spaces.Space[Any], **options: Any) -> ActorCritic:
    network = ActorCritic.from_spaces(BOX, action_space, **options)
    randomize(network)
    return network


def randomize(network: ActorCritic) -> None:
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)


def observations(*leading: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((*leading, 4)).astype(np.float32)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    return [tree]


def assert_acts_like(network: ActorCritic, actor: Any) -> None:
    """Deterministic and sampled actions are those of the network, for arrays and tensors."""
    observation = observations(16)
    noise = actor.draw_noise(np.random.default_rng(0), (16,))
    with torch.no_grad():
        params = network.policy_params(torch.as_tensor(observation))
        expected = {
            False: network.distribution.mode(params),
            True: network.distribution.sample(params, torch.as_tensor(noise)),
        }
    for sampled, actions in expected.items():
        from_arrays = actor(observation, noise if sampled else None)
        tensor_noise = torch.as_tensor(noise) if sampled else None
        from_tensors = actor(torch.as_tensor(observation), tensor_noise)
        trios = zip(leaves(actions), leaves(from_arrays), leaves(from_tensors), strict=True)
        for wanted, array, tensor in trios:
            assert isinstance(array, np.ndarray)
            assert isinstance(tensor, torch.Tensor)
            assert tensor.dtype == wanted.dtype
            np.testing.assert_allclose(array, wanted.numpy(), rtol=1e-6, atol=1e-6)
            np.testing.assert_array_equal(array, tensor.numpy())


@both_actors
@every_action_space
@pytest.mark.parametrize(
    "options",
    [{}, {"shared_trunk": True}, {"activation": "relu"}, {"hidden_sizes": ()}],
    ids=["separate", "shared", "relu", "linear"],
)
def test_actor_agrees_with_the_network(
    actor_class: Any, action_space: spaces.Space[Any], options: dict[str, Any]
) -> None:
    network = network_for(action_space, **options)
    assert_acts_like(network, actor_class(network))


@both_actors
@every_action_space
def test_actor_sees_the_weights_after_an_optimizer_step(
    actor_class: Any, action_space: spaces.Space[Any]
) -> None:
    network = network_for(action_space)
    actor = actor_class(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = [p.detach().clone() for p in network.parameters()]
    params, value = network(torch.as_tensor(observations(8)))
    scale = sum(p.sum() for p in network.distribution.parameters())
    (params.sum() + value.sum() + scale).backward()
    optimizer.step()
    assert not any(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    actor.refresh()
    assert_acts_like(network, actor)


@both_actors
def test_actor_sees_replaced_parameters_after_a_refresh(actor_class: Any) -> None:
    network = network_for(ACTIONS["box"])
    actor = actor_class(network)
    for parameter in network.parameters():
        parameter.data = parameter.data / 2
    actor.refresh()
    assert_acts_like(network, actor)


def test_actor_sees_pruned_weights_after_a_refresh() -> None:
    network = network_for(ACTIONS["box"])
    layer = network.policy_path()[-1][0]
    prune.l1_unstructured(layer, "weight", amount=0.5)
    actor = NumpyActor(network)
    with torch.no_grad():
        layer.weight_orig.mul_(2)
        network.policy_params(torch.as_tensor(observations(2)))  # applies the mask anew
    actor.refresh()
    assert_acts_like(network, actor)


def test_actor_sees_hooks_that_come_and_go() -> None:
    network = network_for(ACTIONS["box"])
    actor = NumpyActor(network)
    handle = network.policy_path()[-1][0].register_forward_hook(lambda *given: 2 * given[-1])
    assert not NumpyActor.supports(network)
    actor.refresh()
    assert_acts_like(network, actor)
    handle.remove()
    actor.refresh()
    assert_acts_like(network, actor)


@pytest.mark.parametrize("change", ["another activation", "one more layer", "no bias"])
def test_actor_goes_on_with_what_numpy_does_not_compute(change: str) -> None:
    network = network_for(ACTIONS["box"])
    actor, layers = NumpyActor(network), network.policy_path()[-1]
    if change == "another activation":
        layers[1] = nn.ELU()
    elif change == "one more layer":
        layers.insert(1, nn.LayerNorm(layers[0].out_features))
    else:
        layers[0] = nn.Linear(4, layers[0].out_features, bias=False)
    assert not NumpyActor.supports(network)
    actor.refresh()
    assert_acts_like(network, actor)


@pytest.mark.parametrize("part", ["an activation", "a layer"])
def test_actor_sees_replaced_modules_after_a_refresh(part: str) -> None:
    network = network_for(ACTIONS["box"])
    actor = NumpyActor(network)
    perceptron = network.policy_path()[-1]
    if part == "an activation":
        perceptron[1] = nn.ReLU() if not isinstance(perceptron[1], nn.ReLU) else nn.Tanh()
    else:
        perceptron[0] = nn.Linear(perceptron[0].in_features, perceptron[0].out_features)
    actor.refresh()
    assert_acts_like(network, actor)


def test_numpy_actor_copies_no_weights() -> None:
    network = network_for(ACTIONS["discrete"])
    actor = NumpyActor(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.5)
    assert_acts_like(network, actor)


@both_actors
def test_draws_follow_the_policys_probabilities(actor_class: Any) -> None:
    network = network_for(ACTIONS["discrete"])
    actor = actor_class(network)
    observation = np.repeat(observations(1), 50_000, 0)
    noise = actor.draw_noise(np.random.default_rng(0), (50_000,))
    frequency = np.bincount(actor(observation, noise) - 1, minlength=3) / 50_000
    with torch.no_grad():
        probability = network.policy_params(torch.as_tensor(observation[:1])).softmax(-1)[0].numpy()
    assert frequency == pytest.approx(probability, abs=0.01)


@both_actors
def test_without_noise_the_actor_is_deterministic(actor_class: Any) -> None:
    actor = actor_class(network_for(ACTIONS["box"]))
    observation = observations(3)
    np.testing.assert_array_equal(actor(observation), actor(observation))


@both_actors
def test_observation_and_noise_are_left_as_they_were(actor_class: Any) -> None:
    actor = actor_class(network_for(ACTIONS["box"], hidden_sizes=()))
    observation = observations(3)
    noise = actor.draw_noise(np.random.default_rng(0), (3,))
    copies = observation.copy(), noise.copy()
    actor(observation, noise)
    np.testing.assert_array_equal(observation, copies[0])
    np.testing.assert_array_equal(noise, copies[1])


def test_tensors_from_an_actor_can_be_trained_on() -> None:
    network = ActorCritic.from_spaces(IMAGE, spaces.Discrete(3))
    actor = network.actor()
    observation = torch.randint(256, (2, 36, 36, 3), dtype=torch.uint8)
    action = actor(observation, torch.as_tensor(actor.draw_noise(np.random.default_rng(0), (2,))))
    network.evaluate_actions(observation, action)[0].sum().backward()
    gradients = [parameter.grad for parameter in network.policy_net.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)


def test_float64_observations_are_taken() -> None:
    network = ActorCritic.from_spaces(spaces.Box(-1, 1, (2, 2), np.float64), ACTIONS["box"])
    randomize(network)
    observation = observations(5).astype(np.float64).reshape(5, 2, 2)
    assert isinstance(network.actor(), NumpyActor)
    np.testing.assert_allclose(
        network.actor()(observation), TorchActor(network)(observation), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("shared_trunk", [False, True])
def test_flat_perceptrons_on_the_cpu_act_in_numpy(shared_trunk: bool) -> None:
    network = network_for(ACTIONS["discrete"], shared_trunk=shared_trunk)
    assert isinstance(network.actor(), NumpyActor)


class Doubled(ActorCritic):
    """A policy that NumPy would get wrong by looking at the layers only."""

    def policy_params(self, observation: Any) -> torch.Tensor:
        return 2 * super().policy_params(observation)


@pytest.mark.parametrize(
    "network",
    [
        ActorCritic.from_spaces(IMAGE, ACTIONS["discrete"]),
        ActorCritic.from_spaces(spaces.Discrete(3), ACTIONS["discrete"]),
        ActorCritic.from_spaces(spaces.Dict({"a": BOX}), ACTIONS["discrete"]),
        ActorCritic.from_spaces(BOX, ACTIONS["discrete"], activation="gelu"),
        ActorCritic.from_spaces(BOX, ACTIONS["discrete"]).double(),
        Doubled.from_spaces(BOX, ACTIONS["discrete"]),
    ],
    ids=["image", "discrete", "dict", "gelu", "float64", "subclass"],
)
def test_everything_else_acts_in_torch(network: ActorCritic) -> None:
    assert isinstance(network.actor(), TorchActor)


def test_dict_observations_go_in_as_arrays_and_come_out_as_arrays() -> None:
    network = ActorCritic.from_spaces(
        spaces.Dict({"a": BOX, "b": spaces.Discrete(2)}), ACTIONS["dict"]
    )
    action = network.actor()({"a": observations(3), "b": np.array([0, 1, 1])})
    assert isinstance(action["x"], np.ndarray)
    assert action["y"].shape == (3, 2)
