"""What may act: models, TensorDict policies, nobody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from counting import CountingEnv, SpacesEnv, TorchCountingEnv
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from tensordict import TensorDict
from tensordict.nn import (
    InteractionType,
    ProbabilisticTensorDictModule,
    TensorDictModule,
    TensorDictSequential,
)

from hookrl.collectors import VectorCollector
from hookrl.collectors.actors import RandomActor, TensorDictActor, as_actor
from hookrl.errors import InvalidType
from hookrl.models import ActorCritic, NumpyActor

BOX = spaces.Box(-1, 1, (3,))
DISCRETE = spaces.Discrete(2)


def draws(space: spaces.Space[Any], number: int = 2000) -> Any:
    actor = RandomActor(space)
    noise = actor.draw_noise(np.random.default_rng(0), (number,))
    return actor(np.zeros((number, 3)), noise)


# ---------------------------------------------------------------- nobody


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (spaces.Discrete(3), {0, 1, 2}),
        (spaces.Discrete(3, start=5), {5, 6, 7}),
        (spaces.Discrete(3, start=-1), {-1, 0, 1}),
        (spaces.Box(-2, 2, (), np.int32), {-2, -1, 0, 1, 2}),
    ],
    ids=str,
)
def test_random_actions_reach_every_value_equally_often(
    space: spaces.Space[Any], expected: set[int]
) -> None:
    values, counts = np.unique(draws(space), return_counts=True)
    assert set(values.tolist()) == expected
    assert counts.min() > 0.8 * counts.max()


def test_random_multi_discrete_actions_reach_every_combination() -> None:
    space = spaces.MultiDiscrete([2, 3], start=[-1, 4])
    assert {tuple(row) for row in draws(space).tolist()} == {
        (a, b) for a in (-1, 0) for b in (4, 5, 6)
    }


def test_random_box_actions_fill_the_bounds_of_each_dimension() -> None:
    low, high = np.array([-1, 10], np.float32), np.array([1, 30], np.float32)
    actions = draws(spaces.Box(low, high))
    assert (actions >= low).all()
    assert (actions <= high).all()
    np.testing.assert_allclose(actions.min(0), low, atol=0.2)
    np.testing.assert_allclose(actions.max(0), high, atol=0.2)


def test_random_actions_without_bounds_are_normal() -> None:
    actions = draws(spaces.Box(-np.inf, np.inf, (2, 3)))
    assert actions.shape == (2000, 2, 3)
    assert abs(actions.mean()) < 0.05
    assert abs(actions.std() - 1) < 0.05


def test_random_dict_actions_have_the_structure_of_their_space() -> None:
    space = spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(2)}), "c": spaces.Box(0, 1, (2,))})
    actions = draws(space, 5)
    assert actions["a"]["b"].shape == (5,)
    assert actions["c"].shape == (5, 2)


def test_random_actions_are_arrays_for_arrays_and_tensors_for_tensors() -> None:
    actor = as_actor(None, DISCRETE)
    noise = actor.draw_noise(np.random.default_rng(0), (4,))
    array, tensor = actor(np.zeros((4, 3)), noise), actor(torch.zeros(4, 3), noise)
    assert isinstance(array, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.tolist() == array.tolist()


def test_a_random_policy_cannot_act_deterministically() -> None:
    with pytest.raises(InvalidType, match="no deterministic actions"):
        as_actor(None, DISCRETE)(np.zeros((4, 3)))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_nobody_can_act_in_a_torch_environment(mode: AutoresetMode) -> None:
    batch = VectorCollector(TorchCountingEnv(mode), frames_per_batch=90, seed=0).collect()
    assert batch["action"].unique().tolist() == [0, 1]


# ---------------------------------------------------------------- models


def test_a_model_with_an_actor_acts_through_it() -> None:
    network = ActorCritic.from_spaces(BOX, DISCRETE)
    assert isinstance(as_actor(network, DISCRETE), NumpyActor)


def test_the_collector_takes_up_parameters_that_were_replaced() -> None:
    network = ActorCritic.from_spaces(BOX, DISCRETE)
    collector = VectorCollector(lambda: SpacesEnv(BOX), network, frames_per_batch=20, seed=0)
    assert collector.collect()["action"].unique().tolist() == [0, 1]
    bias = network.policy_net[-1].bias
    bias.data = torch.tensor([0.0, 1e6])
    assert collector.collect()["action"].unique().tolist() == [1]


# ---------------------------------------------------------------- TensorDict policies


def which_half(observation: torch.Tensor) -> torch.Tensor:
    return (observation[..., 0] > 0).long()


@pytest.mark.parametrize(
    "policy",
    [
        TensorDictModule(which_half, in_keys=["observation"], out_keys=["action"]),
        lambda td: td.set("action", which_half(td["observation"])),
        lambda td: TensorDict({"action": which_half(td["observation"])}, td.batch_size),
    ],
    ids=["module", "in-place", "new"],
)
def test_a_tensordict_policy_answers_to_what_it_sees(policy: Any) -> None:
    collector = VectorCollector(lambda: SpacesEnv(BOX), policy, frames_per_batch=40, num_envs=2)
    batch = collector.collect()
    assert torch.equal(batch["action"], which_half(batch["observation"]))
    assert batch["action"].unique().tolist() == [0, 1]


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_tensordict_policy_acts_in_a_torch_environment(mode: AutoresetMode) -> None:
    policy = TensorDictModule(
        lambda observation: observation[:, 2].long() % 2, ["observation"], ["action"]
    )
    batch = VectorCollector(TorchCountingEnv(mode), policy, frames_per_batch=30).collect()
    assert torch.equal(batch["action"], batch["observation"][..., 2].long() % 2)


def test_a_tensordict_policy_reads_and_writes_nested_keys() -> None:
    observations = spaces.Dict({"arm": spaces.Dict({"angle": BOX})})
    actions = spaces.Dict({"push": spaces.Box(-9, 9, (3,)), "gear": DISCRETE})
    policy = TensorDictModule(
        lambda angle: (2 * angle, which_half(angle)),
        in_keys=[("observation", "arm", "angle")],
        out_keys=[("action", "push"), ("action", "gear")],
    )
    batch = VectorCollector(
        lambda: SpacesEnv(observations, actions), policy, frames_per_batch=8, num_envs=2
    ).collect()
    angle = batch["observation", "arm", "angle"]
    assert torch.equal(batch["action", "push"], 2 * angle)
    assert torch.equal(batch["action", "gear"], which_half(angle))


def test_a_tensordict_policy_may_change_its_input_without_changing_the_batch() -> None:
    def policy(td: Any) -> Any:
        action = which_half(td["observation"])
        td["observation"].fill_(77)
        return td.set("action", action)

    batch = VectorCollector(lambda: SpacesEnv(BOX), policy, frames_per_batch=8).collect()
    assert (batch["observation"] <= 1).all()


def test_a_probabilistic_policy_explores_only_where_there_is_noise() -> None:
    policy = TensorDictSequential(
        TensorDictModule(lambda o: o[:, :2] * 0 + 0.1, ["observation"], ["logits"]),
        ProbabilisticTensorDictModule(
            in_keys=["logits"],
            out_keys=["action"],
            distribution_class=torch.distributions.Categorical,
            default_interaction_type=InteractionType.DETERMINISTIC,
        ),
    )
    actor = as_actor(policy, DISCRETE)
    seen = np.zeros((200, 3), np.float32)
    noise = actor.draw_noise(np.random.default_rng(0), (200,))
    assert set(actor(seen, noise).tolist()) == {0, 1}
    assert set(actor(seen).tolist()) == {0}


def test_a_policy_computes_no_gradients() -> None:
    layer = torch.nn.Linear(3, 2)
    policy = TensorDictModule(lambda o: layer(o).argmax(-1), ["observation"], ["action"])
    assert not TensorDictActor(policy, DISCRETE)(torch.zeros(4, 3)).requires_grad


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (lambda td: td["observation"], "a Tensor"),
        (lambda td: td, "a TensorDict with observation"),
        (lambda td: None, "a NoneType"),
    ],
    ids=["tensor", "no-action", "nothing"],
)
def test_a_policy_that_gives_no_action_is_refused(policy: Any, found: str) -> None:
    collector = VectorCollector(
        lambda: CountingEnv(0, [(3, "terminated")]), policy, frames_per_batch=3
    )
    with pytest.raises(InvalidType) as caught:
        collector.collect()
    assert str(caught.value) == f"policy returned {found}: expected a TensorDict with an 'action'."


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(InvalidType, match="policy is a str: expected a hookrl model"):
        as_actor("greedy", DISCRETE)


@pytest.mark.parametrize(
    "action", [torch.full((3,), 0.7), torch.zeros(3, 1, dtype=torch.int64)], ids=["float", "column"]
)
def test_an_action_that_would_be_executed_as_something_else_is_refused(
    action: torch.Tensor,
) -> None:
    def policy(tensordict: TensorDict) -> TensorDict:
        return tensordict.set("action", action)

    act = TensorDictActor(policy, spaces.Discrete(2))
    with pytest.raises(InvalidType, match=r"expected \(3,\) and torch.int64"):
        act(np.zeros((3, 4), np.float32), np.zeros((3, 0), np.float32))
