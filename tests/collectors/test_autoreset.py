"""Ends of episodes: flags, final observations, reset frames and trajectory ids in every mode."""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from counting import (
    ALL_SOURCES,
    BOTH,
    PLANS,
    TERMINATED,
    TRUNCATED,
    Plan,
    SpacesEnv,
    TorchCountingEnv,
    assert_tells,
    makers,
    sync_env,
)
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from hookrl.collectors import ObservationNormalizer, VectorCollector
from hookrl.errors import InvalidValue, MissingKey

every_source = pytest.mark.parametrize("source", ALL_SOURCES)
next_step_sources = pytest.mark.parametrize("source", ["ready-next-step", "torch-next-step"])
other_sources = pytest.mark.parametrize(
    "source", [name for name in ALL_SOURCES if "next-step" not in name]
)


def collect(
    source: str, *, batches: int = 5, steps: int = 4, plans: Any = None, **options: Any
) -> list[TensorDict]:
    plans = PLANS if plans is None else plans
    env = ALL_SOURCES[source](plans)
    collector = VectorCollector(env, frames_per_batch=steps * len(plans), seed=0, **options)
    return list(itertools.islice(collector, batches))


@every_source
def test_every_cell_of_every_batch_tells_the_story_of_its_environment(source: str) -> None:
    assert_tells(collect(source), PLANS, reset_frames="next-step" in source)


plans = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([TERMINATED, TRUNCATED, BOTH])),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(
    source=st.sampled_from([*ALL_SOURCES]),
    plans=st.lists(plans, min_size=1, max_size=3),
    steps=st.integers(1, 6),
    batches=st.integers(1, 4),
)
def test_any_plan_in_batches_of_any_length_is_told_right(
    source: str, plans: list[Plan], steps: int, batches: int
) -> None:
    collected = collect(source, plans=plans, steps=steps, batches=batches)
    assert_tells(collected, plans, reset_frames="next-step" in source)


@every_source
def test_the_final_observation_is_the_episodes_own_not_the_next_ones(source: str) -> None:
    batch = torch.cat(collect(source), dim=1)
    ended = batch["next", "done"].squeeze(-1)
    final = batch["next", "observation"][ended]
    last = batch["observation"][ended]
    assert len(final) > 5
    torch.testing.assert_close(final - last, torch.tensor([0.0, 0, 1]).expand_as(final))


@every_source
def test_a_time_limit_is_truncation_and_not_termination(source: str) -> None:
    batch = torch.cat(collect(source, plans=[[(3, TRUNCATED)]]), dim=1)
    assert batch["next", "truncated"].any()
    assert not batch["next", "terminated"].any()


@every_source
def test_a_failure_is_termination_and_not_truncation(source: str) -> None:
    batch = torch.cat(collect(source, plans=[[(3, TERMINATED)]]), dim=1)
    assert batch["next", "terminated"].any()
    assert not batch["next", "truncated"].any()


@every_source
def test_trajectory_ids_name_each_episode_once(source: str) -> None:
    batch = torch.cat(collect(source), dim=1)
    episodes_of_ids: dict[int, set[tuple[float, ...]]] = {}
    valid = ~batch["done"].squeeze(-1)
    ids = batch["collector", "traj_ids"][valid].tolist()
    for number, (env, episode, _) in zip(ids, batch["observation"][valid].tolist(), strict=True):
        episodes_of_ids.setdefault(number, set()).add((env, episode))
    assert all(len(episodes) == 1 for episodes in episodes_of_ids.values())
    assert len(set.union(*episodes_of_ids.values())) == len(episodes_of_ids)


@next_step_sources
def test_reset_frames_are_masked_and_nothing_else_is(source: str) -> None:
    batch = torch.cat(collect(source), dim=1)
    for env, plan in enumerate(PLANS):
        told = [flag for length, _ in plan * 9 for flag in [True] * length + [False]]
        assert batch["collector", "mask"][env].tolist() == told[: batch.shape[1]]


@next_step_sources
def test_a_reset_frame_at_the_first_step_of_a_batch_is_known_from_the_last_batch(
    source: str,
) -> None:
    _, second = collect(source, plans=[[(3, TERMINATED)]], steps=3, batches=2)
    assert second["collector", "mask"].tolist() == [[False, True, True]]


@other_sources
def test_without_reset_frames_there_is_no_mask(source: str) -> None:
    assert ("collector", "mask") not in collect(source, batches=1)[0].keys(True)


def test_gymnasiums_vectorised_cartpole_spends_a_masked_frame_on_each_reset() -> None:
    env = gym.make_vec("CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point")
    collector = VectorCollector(env, frames_per_batch=4 * 25, seed=0)
    batch = torch.cat(list(itertools.islice(collector, 6)), dim=1)
    done, mask = batch["next", "done"].squeeze(-1), batch["collector", "mask"]
    assert done.sum() > 10
    assert mask[:, 0].all()
    assert torch.equal(~mask[:, 1:], done[:, :-1])
    # Rewards tell frames apart independently: CartPole gives 1, a reset frame 0.
    assert torch.equal(batch["next", "reward"].squeeze(-1), mask.float())
    after_reset = batch["observation"][:, 1:][~mask[:, :-1]]
    assert (after_reset.abs() <= 0.05).all()
    final = batch["next", "observation"][batch["next", "terminated"].squeeze(-1)]
    assert ((final[:, 0].abs() > 2.4) | (final[:, 2].abs() > 0.2094)).all()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_an_asynchronous_vector_environment_tells_the_same_story(mode: AutoresetMode) -> None:
    # Fork: torchrl sets spawn when it is imported, and then each process imports all of this anew.
    env = AsyncVectorEnv(makers(reuse_buffer=False), context="fork", autoreset_mode=mode)
    collector = VectorCollector(env, frames_per_batch=12, seed=0)
    try:
        batches = list(itertools.islice(collector, 4))
    finally:
        collector.shutdown()
    assert_tells(batches, PLANS, reset_frames=mode is AutoresetMode.NEXT_STEP)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_final_observations_of_dict_spaces_are_the_episodes_own(mode: AutoresetMode) -> None:
    class DictObservations(gym.ObservationWrapper[Any, Any, Any]):
        observation_space = spaces.Dict(
            {"where": spaces.Box(-np.inf, np.inf, (2,)), "step": spaces.Discrete(99)}
        )

        def observation(self, observation: Any) -> Any:
            return {"where": observation[:2].astype(np.float32), "step": int(observation[2])}

    functions = [lambda make=make: DictObservations(make()) for make in makers()]
    env = SyncVectorEnv(functions, copy=False, autoreset_mode=mode)
    batches = list(itertools.islice(VectorCollector(env, frames_per_batch=12, seed=0), 4))
    for batch in batches:
        for part in (batch, batch["next"]):
            seen = part["observation"]
            part["observation"] = torch.cat([seen["where"], seen["step"].unsqueeze(-1)], dim=-1)
    assert_tells(batches, PLANS, reset_frames=mode is AutoresetMode.NEXT_STEP)


class Shifting:
    """A transform that shows by its result which way it was called."""

    def __call__(self, observation: Any) -> Any:
        return observation + 1000

    def frozen(self, observation: Any) -> Any:
        return observation + 2000

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


@other_sources
def test_final_observations_go_through_the_frozen_transform(source: str) -> None:
    batch = torch.cat(collect(source, transform=Shifting()), dim=1)
    offset = torch.where(batch["next", "done"], 2000.0, 1000.0)
    plain = torch.cat(collect(source), dim=1)
    torch.testing.assert_close(
        batch["next", "observation"], plain["next", "observation"] + offset, rtol=0, atol=0
    )
    assert torch.equal(batch["observation"], plain["observation"] + 1000)


@next_step_sources
def test_with_reset_frames_the_final_observation_is_the_one_that_the_reset_frame_shows(
    source: str,
) -> None:
    batch = torch.cat(collect(source, transform=Shifting()), dim=1)
    resets = ~batch["collector", "mask"]
    assert torch.equal(
        batch["next", "observation"][:, :-1][resets[:, 1:]], batch["observation"][resets]
    )


@other_sources
def test_final_observations_do_not_move_the_statistics(source: str) -> None:
    seen: list[np.ndarray] = []

    class Recording(ObservationNormalizer):
        def __call__(self, observation: Any) -> Any:
            seen.append(np.asarray(observation).copy())
            return super().__call__(observation)

    env = ALL_SOURCES[source](PLANS)
    normalizer = Recording(spaces.Box(-np.inf, np.inf, (3,)))
    batch = VectorCollector(env, frames_per_batch=30, transform=normalizer, seed=0).collect()
    steps = np.stack(seen, axis=1)
    plain = torch.cat(collect(source, steps=10, batches=1), dim=1)
    np.testing.assert_array_equal(steps[:, :-1], plain["observation"].numpy())
    assert steps.shape[1] == batch.shape[1] + 1


def test_an_environment_that_does_not_say_how_it_resets_is_refused() -> None:
    env = TorchCountingEnv(AutoresetMode.DISABLED)
    env.metadata = {}
    with pytest.raises(
        InvalidValue, match=r"metadata\['autoreset_mode'\]=None: expected it to say"
    ):
        VectorCollector(env, frames_per_batch=3)


def test_a_same_step_environment_that_hides_the_final_observation_is_refused() -> None:
    class Hiding(TorchCountingEnv):
        def step(self, action: Any) -> Any:
            return *super().step(action)[:-1], {"score": 1}

    collector = VectorCollector(Hiding(AutoresetMode.SAME_STEP), frames_per_batch=12)
    with pytest.raises(MissingKey, match=r"info has score: expected the last observation in 'fina"):
        collector.collect()


def test_an_episode_that_spans_batches_keeps_its_id() -> None:
    env = [lambda: SpacesEnv(spaces.Box(-1, 1, (1,)))] * 2
    collector = VectorCollector(env, frames_per_batch=6)
    first, second = collector.collect(), collector.collect()
    assert first["collector", "traj_ids"].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert torch.equal(first["collector", "traj_ids"], second["collector", "traj_ids"])


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_environments_that_these_tests_use_do_overwrite_their_observations(
    mode: AutoresetMode,
) -> None:
    env, torch_env = sync_env(mode), TorchCountingEnv(mode)
    assert env.reset()[0] is env.step(np.zeros(3, int))[0]
    assert torch_env.reset()[0] is torch_env.step(torch.zeros(3))[0]
