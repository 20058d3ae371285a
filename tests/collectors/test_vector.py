"""The collector: layout, spaces, going on, state, bad input."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from counting import (
    PLANS,
    CountingEnv,
    SpacesEnv,
    TorchCountingEnv,
    assert_tells,
    batch_leaves,
    makers,
    sync_env,
)
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorWrapper
from gymnasium.wrappers import TimeLimit
from states import assert_same

from hookrl.collectors import ObservationNormalizer, VectorCollector
from hookrl.envs.sync import SerialVectorEnv
from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.models import ActorCritic

BOX = spaces.Box(-1, 1, (3,))


def batch_of(
    observation_space: spaces.Space[Any], action_space: Any = None, **options: Any
) -> tuple[Any, list[SpacesEnv]]:
    """A batch of two environments and four steps, and the environments."""
    collector = VectorCollector(
        lambda: SpacesEnv(observation_space, action_space),
        frames_per_batch=8,
        num_envs=2,
        seed=0,
        **options,
    )
    return collector.collect(), list(collector.env.envs)


@pytest.mark.parametrize("num_envs", [1, 3])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1"])
def test_environments_that_write_by_themselves_give_the_same_batches(
    env_id: str, num_envs: int
) -> None:
    """Behind a wrapper they are stepped as any vector environment is."""
    functions = [lambda: TimeLimit(gym.make(env_id).env, 9)] * num_envs
    collectors = [
        VectorCollector(env, frames_per_batch=16 * num_envs, seed=4)
        for env in (SerialVectorEnv(functions), VectorWrapper(SerialVectorEnv(functions)))
    ]
    ended = 0
    for _ in range(3):
        one, other = (collector.collect() for collector in collectors)
        assert_same(one.to_dict(), other.to_dict())
        ended += int(one["next", "done"].sum())
    assert ended >= 3 * num_envs
    assert_same(*(collector.state_dict()["episodes"]["observation"] for collector in collectors))


def test_a_transform_that_is_set_later_is_applied() -> None:
    collector = VectorCollector("CartPole-v1", frames_per_batch=8, num_envs=2, seed=0)
    collector.collect()
    collector.transform = ObservationNormalizer(collector.env.single_observation_space)
    collector.collect()
    (moments,) = collector.transform.state_dict().values()
    assert moments["count"] >= 8


# ---------------------------------------------------------------- layout


def test_a_batch_has_torchrls_layout() -> None:
    batch = VectorCollector("CartPole-v1", frames_per_batch=10, num_envs=2, seed=0).collect()
    assert batch.shape == (2, 5)
    layout = {key: (tuple(leaf.shape[2:]), leaf.dtype) for key, leaf in batch_leaves(batch).items()}
    flag = ((1,), torch.bool)
    assert layout == {
        "observation": ((4,), torch.float32),
        "action": ((), torch.int64),
        "done": flag,
        "terminated": flag,
        "truncated": flag,
        ("next", "observation"): ((4,), torch.float32),
        ("next", "reward"): ((1,), torch.float32),
        ("next", "done"): flag,
        ("next", "terminated"): flag,
        ("next", "truncated"): flag,
        ("collector", "traj_ids"): ((), torch.int64),
    }


def test_a_batch_may_be_one_step_long() -> None:
    collector = VectorCollector(makers(), frames_per_batch=3, seed=0)
    assert_tells(list(itertools.islice(collector, 12)), PLANS)


def test_batches_are_put_on_the_device_that_was_asked_for() -> None:
    collector = VectorCollector(makers(), frames_per_batch=3, device="meta")
    assert collector.collect().device == torch.device("meta")


@pytest.mark.parametrize("size", [0, -4, 5])
def test_environments_must_be_able_to_share_a_batch_evenly(size: int) -> None:
    with pytest.raises(InvalidValue) as caught:
        VectorCollector("CartPole-v1", frames_per_batch=size, num_envs=2)
    assert str(caught.value) == (
        f"frames_per_batch={size} for 2 environments: expected a positive multiple of their number."
    )


# ---------------------------------------------------------------- spaces


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (2, 3), np.float64),
        spaces.Box(0, 255, (4, 4, 3), np.uint8),
        spaces.Discrete(5, start=-2),
        spaces.MultiDiscrete([2, 7]),
    ],
    ids=str,
)
def test_observations_arrive_as_the_environment_gave_them(space: spaces.Space[Any]) -> None:
    batch, envs = batch_of(space)
    for env, row, following in zip(
        envs, batch["observation"], batch["next", "observation"], strict=True
    ):
        seen = torch.as_tensor(np.stack(env.observations)).to(row.dtype)
        assert torch.equal(row, seen[:-1])
        assert torch.equal(following, seen[1:])


def test_images_stay_uint8() -> None:
    batch, _ = batch_of(spaces.Box(0, 255, (4, 4, 3), np.uint8))
    assert batch["observation"].dtype == batch["next", "observation"].dtype == torch.uint8


def test_float64_observations_become_float32() -> None:
    batch, _ = batch_of(spaces.Box(-1, 1, (3,), np.float64))
    assert batch["observation"].dtype == batch["next", "observation"].dtype == torch.float32


def test_dict_observations_are_nested_keys() -> None:
    inner = spaces.Dict({"angle": spaces.Box(-1, 1, (3,)), "gear": spaces.Discrete(4)})
    space = spaces.Dict({"arm": inner, "camera": spaces.Box(0, 255, (2, 2), np.uint8)})
    batch, envs = batch_of(space)
    for path in (("arm", "angle"), ("arm", "gear"), ("camera",)):
        for env, row in zip(envs, batch["observation"][path], strict=True):
            seen = [o[path[0]] if len(path) == 1 else o["arm"][path[1]] for o in env.observations]
            assert torch.equal(row, torch.as_tensor(np.stack(seen[:-1])))
            assert row.dtype == torch.as_tensor(np.stack(seen)).dtype


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=5),
        spaces.Discrete(3, start=-2),
        spaces.MultiDiscrete([2, 3], start=[1, -1]),
        spaces.Box(-1, 1, (2,)),
        spaces.Dict({"push": spaces.Box(-1, 1, (2,)), "gear": spaces.Discrete(4)}),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["random", "actor-critic"])
def test_actions_of_every_space_reach_the_environment(space: spaces.Space[Any], kind: str) -> None:
    policy = None if kind == "random" else ActorCritic.from_spaces(BOX, space)
    batch, envs = batch_of(BOX, space, policy=policy)  # the environments check their actions
    for number, env in enumerate(envs):
        for t, action in enumerate(env.actions):
            parts = action if isinstance(action, dict) else {(): action}
            for key, part in parts.items():
                stored = batch["action", key][number, t] if key else batch["action"][number, t]
                stored = stored.clamp(-1, 1) if stored.is_floating_point() else stored
                np.testing.assert_array_equal(stored.numpy(), part)


def test_box_actions_are_stored_as_drawn_and_clipped_for_the_environment() -> None:
    space = spaces.Box(-0.1, 0.1, (2,))
    network = ActorCritic.from_spaces(BOX, space)
    batch, envs = batch_of(BOX, space, policy=network)
    assert batch["action"].abs().max() > 0.1
    assert max(np.abs(action).max() for env in envs for action in env.actions) <= 0.1 + 1e-7


@pytest.mark.parametrize("role", ["observation", "action"])
def test_an_unsupported_space_is_named_in_one_sentence(role: str) -> None:
    given = {"observation_space": BOX, "action_space": spaces.Discrete(2)}
    given[f"{role}_space"] = spaces.MultiBinary(3)
    with pytest.raises(InvalidType, match=rf"^the {role} space is MultiBinary\(3\): expected Box"):
        VectorCollector(lambda: SpacesEnv(**given), frames_per_batch=8)


# ---------------------------------------------------------------- torch environments


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_actor_of_a_torch_environment_sees_and_gives_tensors(mode: AutoresetMode) -> None:
    class Watching:
        def actor(self) -> Any:
            return self

        def refresh(self) -> None:
            pass

        def draw_noise(self, rng: Any, shape: Any) -> np.ndarray:
            return np.zeros((*shape, 1), np.float32)

        def __call__(self, observation: Any, noise: Any = None) -> Any:
            assert isinstance(observation, torch.Tensor)
            return observation[:, 2].long() % 2

    batch = VectorCollector(TorchCountingEnv(mode), Watching(), frames_per_batch=30).collect()
    assert torch.equal(batch["action"], batch["observation"][..., 2].long() % 2)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_torch_environment_can_be_normalised_like_any_other(mode: AutoresetMode) -> None:
    batches = [
        VectorCollector(
            env, frames_per_batch=30, transform=ObservationNormalizer(CountingEnv.observation_space)
        ).collect()
        for env in (TorchCountingEnv(mode), sync_env(mode))
    ]
    for key in ("observation", ("next", "observation")):
        assert torch.equal(batches[0][key], batches[1][key])


# ---------------------------------------------------------------- going on, state, end


def test_iterating_again_goes_on_where_the_last_iteration_ended() -> None:
    collector = VectorCollector(makers(), frames_per_batch=12, seed=0)
    batches = [next(iter(collector)) for _ in range(4)]
    assert_tells(batches, PLANS)


def cartpole(seed: int | None, **options: Any) -> VectorCollector:
    return VectorCollector("CartPole-v1", frames_per_batch=64, num_envs=4, seed=seed, **options)


def assert_identical(one: Any, other: Any) -> None:
    leaves, others = batch_leaves(one), batch_leaves(other)
    assert leaves.keys() == others.keys()
    for key, leaf in leaves.items():
        assert torch.equal(leaf, others[key]), key


def test_collectors_with_the_same_state_go_on_alike() -> None:
    space = spaces.Box(-np.inf, np.inf, (4,))
    first = cartpole(0, transform=ObservationNormalizer(space))
    for _ in range(3):
        first.collect()
    state = first.state_dict()
    others = [cartpole(seed, transform=ObservationNormalizer(space)) for seed in (1, 2)]
    others[1].collect()
    for other in (first, *others):
        other.load_state_dict(state)
        assert_same(other.state_dict(), state)
    batches = [collector.collect() for collector in (first, *others)]
    assert_identical(batches[0], batches[1])
    assert_identical(batches[0], batches[2])


def test_new_episodes_after_a_load_repeat_neither_ids_nor_initial_states() -> None:
    collector = cartpole(0, exact_resume="off")
    before = collector.collect()
    collector.load_state_dict(collector.state_dict())
    after = collector.collect()
    for key in (("collector", "traj_ids"), "observation"):
        rows = [{tuple(row.reshape(-1).tolist()) for row in b[key][:, :1]} for b in (before, after)]
        assert not rows[0] & rows[1], key
    ids = [set(b["collector", "traj_ids"].flatten().tolist()) for b in (before, after)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("saved_with_transform", [True, False])
def test_a_state_with_and_one_without_a_transform_do_not_mix(saved_with_transform: bool) -> None:
    with_transform = cartpole(0, transform=ObservationNormalizer(spaces.Box(-1, 1, (4,))))
    source, target = with_transform, cartpole(0)
    if not saved_with_transform:
        source, target = target, source
    with pytest.raises(MissingKey, match="VectorCollector (lacks|has unexpected) 'transform'"):
        target.load_state_dict(source.state_dict())


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    collector = cartpole(0, transform=ObservationNormalizer(spaces.Box(-1, 1, (4,))))
    other = cartpole(1, transform=ObservationNormalizer(spaces.Box(-1, 1, (5,))))
    before = collector.state_dict()
    with pytest.raises(InvalidValue, match=r"has shape \(5,\): expected \(4,\)"):
        collector.load_state_dict(other.state_dict())
    assert_same(collector.state_dict(), before)


def test_shutdown_closes_every_environment() -> None:
    collector = VectorCollector(makers(), frames_per_batch=3)
    envs = collector.env.envs
    collector.shutdown()
    assert all(env.closed for env in envs)


def test_shutdown_may_be_called_twice() -> None:
    collector = VectorCollector(makers(), frames_per_batch=3)
    envs = collector.env.envs
    collector.shutdown()
    collector.shutdown()
    assert all(env.closed for env in envs)
