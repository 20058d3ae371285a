"""A collector that was interrupted gives the batches that it would have given."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from counting import PLANS, TorchCountingEnv, batch_leaves, makers, sync_env
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from midway import MODES, Gauge, through_a_checkpoint
from states import assert_same

from hookrl.collectors import ObservationNormalizer, VectorCollector
from hookrl.envs import make_env, snapshots
from hookrl.errors import InvalidType, InvalidValue
from hookrl.models import ActorCritic

CARTPOLE = functools.partial(make_env, "CartPole-v1")


def cartpoles(mode: AutoresetMode) -> SyncVectorEnv:
    return SyncVectorEnv([CARTPOLE] * 4, autoreset_mode=mode)


SOURCES: dict[str, Callable[[], Any]] = {
    "id": lambda: "CartPole-v1",
    "continuous": lambda: "Pendulum-v1",
    "wrapped": lambda: lambda: gym.wrappers.FrameStackObservation(CARTPOLE(), 2),
    "replayed": lambda: Gauge,
    "same-step": lambda: cartpoles(AutoresetMode.SAME_STEP),
    "next-step": lambda: cartpoles(AutoresetMode.NEXT_STEP),
    "vectorised": lambda: gym.make_vec(
        "CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point"
    ),
    "processes": lambda: AsyncVectorEnv(
        [lambda: snapshots.WorkerEnv(CARTPOLE())] * 4, context="fork"
    ),
    "dict": lambda: lambda: gym.wrappers.TimeAwareObservation(CARTPOLE(), flatten=False),
    **{f"torch-{mode.value}": functools.partial(TorchCountingEnv, mode) for mode in MODES},
}
if importlib.util.find_spec("mujoco") is not None:
    SOURCES["mujoco"] = lambda: "Ant-v5"
    SOURCES["mujoco-next-step"] = lambda: SyncVectorEnv(
        [functools.partial(make_env, "Hopper-v5")] * 4
    )
every_source = pytest.mark.parametrize("source", SOURCES)


def collector_of(source: Any, seed: int, **options: Any) -> VectorCollector:
    """Steps of four environments (counting ones: of three), with a policy of fixed weights."""
    env = SOURCES[source]() if isinstance(source, str) else source
    count = env.num_envs if isinstance(env, gym.vector.VectorEnv) else 4
    options = {"frames_per_batch": 9 * count, "num_envs": count, "seed": seed, **options}
    return VectorCollector(env, **options)


def with_policy_and_normaliser(source: str, seed: int) -> VectorCollector:
    space = collector_of(source, 0).env
    observation, action = space.single_observation_space, space.single_action_space
    space.close()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = ActorCritic.from_spaces(observation, action)
    return collector_of(source, seed, policy=policy, transform=ObservationNormalizer(observation))


def assert_resumes(make: Callable[[int], VectorCollector], batches: int = 5) -> None:
    """Interrupted after any number of batches, a new collector goes on alike."""
    whole = make(0)
    states, collected = [], []
    for _ in range(batches):
        states.append(through_a_checkpoint(whole.state_dict()))
        collected.append(whole.collect())
    for done, state in enumerate(states):
        resumed = make(1)
        if done % 2:
            resumed.collect()  # it may be in use
        resumed.load_state_dict(state)
        assert_same(through_a_checkpoint(resumed.state_dict()), state)
        for expected in collected[done:]:
            batch = batch_leaves(resumed.collect())
            assert batch.keys() == batch_leaves(expected).keys()
            for key, leaf in batch_leaves(expected).items():
                assert torch.equal(leaf, batch[key]), (done, key)
        resumed.shutdown()
    whole.shutdown()


@every_source
def test_an_interrupted_collector_gives_the_batches_it_would_have_given(source: str) -> None:
    assert_resumes(functools.partial(collector_of, source), batches=3 if "mujoco" in source else 5)


@pytest.mark.parametrize("source", ["id", "continuous", "replayed", "next-step", "torch-NextStep"])
def test_with_a_policy_and_normalised_observations_too(source: str) -> None:
    make = functools.partial(with_policy_and_normaliser, source)
    if "torch" in source:

        def make(seed: int) -> VectorCollector:
            normalizer = ObservationNormalizer(spaces.Box(-np.inf, np.inf, (3,)))
            return collector_of(source, seed, transform=normalizer)

    assert_resumes(make)


def test_random_frames_at_the_beginning_count_on() -> None:
    policy = ActorCritic.from_spaces(spaces.Box(-1, 1, (4,)), spaces.Discrete(2))
    assert_resumes(
        lambda seed: collector_of("id", seed, policy=policy, init_random_frames=80), batches=4
    )


def test_a_collector_that_has_not_begun_resumes() -> None:
    one, other = collector_of("id", 0), collector_of("id", 1)
    other.collect()
    other.load_state_dict(through_a_checkpoint(one.state_dict()))
    assert_same(batch_leaves(one.collect()), batch_leaves(other.collect()))


def test_a_collector_may_be_saved_after_its_end() -> None:
    one, other = collector_of("id", 0), collector_of("id", 1)
    one.collect()
    state = one.state_dict()
    one.shutdown()
    assert_same(one.state_dict(), state)
    other.load_state_dict(through_a_checkpoint(one.state_dict()))
    assert not other.env.closed


# ---------------------------------------------------------------- what is declared


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("id", "exact"),
        ("vectorised", "exact"),
        ("torch-NextStep", "exact"),
        ("replayed", "replayed"),
    ],
)
def test_the_kind_of_the_environments_is_declared(source: str, kind: str) -> None:
    assert collector_of(source, 0).exact_resume == kind


class Robot(Gauge):
    """Must not be replayed."""


snapshots.register_family(Robot, snapshots.Impossible("it moves an arm"))


def robots(exact_resume: Any = "best") -> VectorCollector:
    return collector_of(Robot, 0, exact_resume=exact_resume)


def test_requiring_what_is_impossible_is_refused() -> None:
    with pytest.raises(InvalidValue) as caught:
        robots("require")
    assert str(caught.value) == (
        "exact_resume='require' is impossible for SerialVectorEnv(num_envs=4) (Robot: it moves an "
        "arm): expected 'best' or 'off', or an environment that can be snapshotted."
    )


def test_what_is_impossible_begins_new_episodes_with_one_warning() -> None:
    one, other = robots(), robots()
    one.collect()
    state = through_a_checkpoint(one.state_dict())
    assert other.exact_resume == "impossible"
    with pytest.warns(UserWarning, match="begin new episodes") as caught:
        other.load_state_dict(state)
    assert [str(warning.message) for warning in caught] == [
        "the environments begin new episodes, since Robot: it moves an arm; the resumed run is "
        "not the one that was interrupted."
    ]
    episodes = other.env.envs[0].episodes
    assert other.collect()["observation"][0, 0, 0] > 1000 * (episodes + 1) - 20


def test_off_stores_nothing_says_nothing_and_begins_new_episodes() -> None:
    one, other = (collector_of("id", 0, exact_resume="off") for _ in range(2))
    one.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = one.state_dict()
        other.load_state_dict(state)
    assert state["episodes"] == {"environments": None}
    assert other.exact_resume == "off"
    ids = [set(c.collect()["collector", "traj_ids"].flatten().tolist()) for c in (one, other)]
    assert min(ids[1]) >= state["next_traj_id"]


def test_off_records_nothing() -> None:
    collector = collector_of("replayed", 0, exact_resume="off")
    assert {type(env) for env in collector.env.envs} == {Gauge}


def test_off_ignores_what_a_checkpoint_holds() -> None:
    one, other = collector_of("id", 0), collector_of("id", 0, exact_resume="off")
    one.collect()
    other.load_state_dict(one.state_dict())
    assert not torch.equal(one.collect()["observation"], other.collect()["observation"])


def test_a_checkpoint_without_environments_is_refused_where_they_are_required() -> None:
    one, other = (
        collector_of("id", 0, exact_resume="off"),
        collector_of("id", 0, exact_resume="require"),
    )
    one.collect()
    before = other.state_dict()
    with pytest.raises(InvalidValue, match="with a checkpoint that holds no environments: expect"):
        other.load_state_dict(one.state_dict())
    assert_same(other.state_dict(), before)


def test_a_checkpoint_without_environments_is_warned_of_where_they_would_be_best() -> None:
    one, other = collector_of("id", 0, exact_resume="off"), collector_of("id", 0)
    one.collect()
    with pytest.warns(UserWarning, match="begin new episodes, since the checkpoint holds none; th"):
        other.load_state_dict(one.state_dict())
    other.collect()


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(InvalidValue, match="exact_resume='maybe': expected one of require, best, "):
        collector_of("id", 0, exact_resume="maybe")


def test_a_checkpoint_of_other_environments_is_refused_and_changes_nothing() -> None:
    one, other = collector_of("id", 0), collector_of(lambda: gym.make("CartPole-v1"), 0)
    one.collect()
    other.collect()
    before = other.state_dict()
    with pytest.raises(InvalidValue) as caught:
        other.load_state_dict(one.state_dict())
    message = str(caught.value)
    assert message.startswith("the snapshot belongs to an environment with classes [")
    assert message.endswith("CartPoleEnv']; exact_resume='off' would begin new episodes.")
    assert_same(other.state_dict(), before)


# ---------------------------------------------------------------- when it goes wrong after all


class Moody(Gauge):
    """Looks as if it could be replayed, but draws from a generator that nobody can find."""

    moods = np.random.default_rng(0)

    @property
    def _rng(self) -> Any:
        return self.moods


def moody(exact_resume: Any) -> VectorCollector:
    return collector_of(Moody, 0, exact_resume=exact_resume)


def test_a_replay_that_goes_another_way_is_an_error_where_it_is_required() -> None:
    one, other = moody("require"), moody("require")
    one.collect()
    with pytest.raises(snapshots.ReplayDiffers, match="led to another observation than was recor"):
        other.load_state_dict(one.state_dict())
    other.collect()  # from new episodes


def test_a_replay_that_goes_another_way_is_warned_of_and_new_episodes_begin() -> None:
    one, other = moody("best"), moody("best")
    one.collect()
    with pytest.warns(UserWarning, match="the environments begin new episodes, since replaying"):
        other.load_state_dict(one.state_dict())
    other.collect()


class Late(TorchCountingEnv):
    """Comes to hold what cannot be stored."""

    def step(self, action: Any) -> Any:
        self.visited = {1}
        return super().step(action)


def late(exact_resume: Any) -> VectorCollector:
    return collector_of(Late(AutoresetMode.DISABLED), 0, exact_resume=exact_resume)


def test_what_cannot_be_stored_after_all_is_an_error_where_it_is_required() -> None:
    collector = late("require")
    collector.collect()
    with pytest.raises(InvalidType, match=r"Late: attributes\.visited is a builtins\.set"):
        collector.state_dict()


def test_what_cannot_be_stored_after_all_is_warned_of_once() -> None:
    collector = late("best")
    assert collector.exact_resume == "exact"
    collector.collect()
    with pytest.warns(UserWarning, match="a checkpoint holds no environments, since") as caught:
        states = [collector.state_dict() for _ in range(3)]
    assert len(caught) == 1
    assert states[0]["episodes"] == {"environments": None}


# ---------------------------------------------------------------- what a run costs and shows


def test_recording_changes_no_batch() -> None:
    one, other = (collector_of("replayed", 0, exact_resume=resume) for resume in ("best", "off"))
    for _ in range(3):
        assert_same(batch_leaves(one.collect()), batch_leaves(other.collect()))


def test_environments_that_are_stored_are_stepped_as_they_are() -> None:
    collector = collector_of(sync_env(AutoresetMode.DISABLED), 0)
    assert collector.exact_resume == "replayed"
    stored = collector_of("id", 0)
    assert not any(isinstance(env, snapshots.Recorder) for env in stored.env.envs)


def test_counting_environments_go_on_with_their_plans() -> None:
    assert_resumes(lambda seed: collector_of(SyncVectorEnv(makers(PLANS)), seed))
