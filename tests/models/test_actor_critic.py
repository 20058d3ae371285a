"""Policy and value function from spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from hookrl.models import MLP, ActorCritic, NatureCNN, distribution_for

VECTOR = spaces.Box(-1, 1, (4,))
IMAGE = spaces.Box(0, 255, (36, 36, 3), dtype=np.uint8)
MIXED = spaces.Dict([("image", IMAGE), ("goal", spaces.Discrete(3))])


def batch_of(space: spaces.Space[Any], size: int) -> Any:
    if isinstance(space, spaces.Dict):
        return {name: batch_of(sub, size) for name, sub in space.spaces.items()}
    space.seed(0)
    return torch.as_tensor(np.stack([space.sample() for _ in range(size)]))


@pytest.mark.parametrize("shared_trunk", [False, True])
@pytest.mark.parametrize("space", [VECTOR, IMAGE, MIXED], ids=["vector", "image", "dict"])
def test_every_method_gives_the_documented_shapes(
    space: spaces.Space[Any], shared_trunk: bool
) -> None:
    network = ActorCritic.from_spaces(space, spaces.Discrete(2), shared_trunk=shared_trunk)
    observation = batch_of(space, 5)
    params, value = network(observation)
    assert params.shape == (5, 2)
    assert value.shape == (5, 1)
    assert torch.equal(network.policy_params(observation), params)
    assert torch.equal(network.value(observation), value)
    log_prob, entropy, again = network.evaluate_actions(observation, torch.ones(5).long())
    assert log_prob.shape == entropy.shape == (5,)
    assert torch.equal(again, value)


def test_evaluate_actions_is_the_distribution_on_the_policys_parameters() -> None:
    action_space = spaces.Box(-1, 1, (3,))
    network = ActorCritic.from_spaces(VECTOR, action_space, log_std_init=-0.7)
    observation, action = torch.randn(6, 4), torch.randn(6, 3)
    log_prob, entropy, _ = network.evaluate_actions(observation, action)
    params = network.policy_params(observation)
    expected = distribution_for(action_space, -0.7).log_prob_entropy(params, action)
    assert torch.equal(log_prob, expected[0])
    assert torch.equal(entropy, expected[1])


def gradient_of_value(network: ActorCritic) -> set[str]:
    network.value(batch_of(network.observation_space, 2)).sum().backward()
    return {name for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("space", [VECTOR, IMAGE], ids=["vector", "image"])
def test_separate_networks_share_no_parameters(space: spaces.Space[Any]) -> None:
    network = ActorCritic.from_spaces(space, spaces.Discrete(2))
    assert all(name.startswith("value_net") for name in gradient_of_value(network))


@pytest.mark.parametrize("space", [VECTOR, IMAGE], ids=["vector", "image"])
def test_a_shared_trunk_learns_from_the_value(space: spaces.Space[Any]) -> None:
    network = ActorCritic.from_spaces(space, spaces.Discrete(2), shared_trunk=True)
    assert any(name.startswith("trunk") for name in gradient_of_value(network))


def test_heads_start_with_their_gains() -> None:
    network = ActorCritic.from_spaces(VECTOR, spaces.Discrete(2))
    for net, gain in ((network.policy_net, 0.01), (network.value_net, 1.0)):
        assert isinstance(net, MLP)
        head = net[-1]
        assert isinstance(head, nn.Linear)
        torch.testing.assert_close(torch.linalg.norm(head.weight[0]).item(), gain)


def test_a_lone_image_goes_straight_from_the_nature_network_to_the_heads() -> None:
    network = ActorCritic.from_spaces(IMAGE, spaces.Discrete(2), shared_trunk=True)
    linears = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linears[1:]] == [(512, 2), (512, 1)]
    assert any(isinstance(m, NatureCNN) for m in network.modules())


def test_weights_depend_on_the_generator_and_nothing_global() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(torch.seed() % 1000)
        before = torch.get_rng_state()
        network = ActorCritic.from_spaces(
            MIXED, spaces.Discrete(2), generator=torch.Generator().manual_seed(seed)
        )
        assert torch.equal(torch.get_rng_state(), before)
        return torch.cat([p.flatten() for p in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_keys_name_every_leaf_of_dict_spaces() -> None:
    network = ActorCritic.from_spaces(MIXED, spaces.Dict({"arm": spaces.Discrete(2)}))
    assert network.observation_keys == [("observation", "image"), ("observation", "goal")]
    assert network.action_keys == [("action", "arm")]
    plain = ActorCritic.from_spaces(VECTOR, spaces.Discrete(2))
    assert (plain.observation_keys, plain.action_keys) == (["observation"], ["action"])


def test_unsupported_action_space_is_refused() -> None:
    with pytest.raises(TypeError, match="The space of action is Tuple"):
        ActorCritic.from_spaces(VECTOR, spaces.Tuple([spaces.Discrete(2)]))


def test_unknown_activation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        ActorCritic.from_spaces(VECTOR, spaces.Discrete(2), activation="rellu")
