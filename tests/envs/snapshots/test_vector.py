"""Vector environments go on from their snapshots in every autoreset mode."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from counting import PLANS, TorchCountingEnv, makers
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from midway import MODES, Gauge, Player, assert_goes_on, through_a_checkpoint
from states import assert_same

from hookrl.envs import make_env, snapshots
from hookrl.errors import InvalidType, InvalidValue

every_mode = pytest.mark.parametrize("mode", MODES)
every_moment = pytest.mark.parametrize("steps", [0, 1, 7, 40])


def cartpoles(mode: AutoresetMode, count: int = 3) -> SyncVectorEnv:
    function = functools.partial(make_env, "CartPole-v1")
    return SyncVectorEnv([function] * count, copy=False, autoreset_mode=mode)


def gauges(mode: AutoresetMode, **options: Any) -> SyncVectorEnv:
    return SyncVectorEnv([lambda: Gauge(**options)] * 3, autoreset_mode=mode)


@every_mode
@every_moment
def test_stored_environments_go_on(mode: AutoresetMode, steps: int) -> None:
    assert_goes_on(lambda: cartpoles(mode), steps=steps)


@every_mode
@every_moment
def test_replayed_environments_go_on(mode: AutoresetMode, steps: int) -> None:
    assert_goes_on(lambda: gauges(mode), steps=steps)


@every_mode
def test_stored_and_replayed_environments_side_by_side_go_on(mode: AutoresetMode) -> None:
    functions = [lambda: Gauge(4), lambda: make_env("CartPole-v1", {"render_mode": None})]
    # Spaces must be equal for SyncVectorEnv.
    space = make_env("CartPole-v1").observation_space

    def narrowed(function: Any) -> Any:
        return lambda: gym.wrappers.TransformAction(
            gym.wrappers.TransformObservation(function(), lambda o: o, space),
            lambda action: int(action > 0),
            gym.spaces.Discrete(2),
        )

    assert_goes_on(
        lambda: SyncVectorEnv([narrowed(f) for f in functions], autoreset_mode=mode), steps=25
    )


@every_mode
def test_environments_that_are_in_use_go_on_as_new_ones_do(mode: AutoresetMode) -> None:
    assert_goes_on(lambda: cartpoles(mode), steps=30, used=45)
    assert_goes_on(lambda: gauges(mode), steps=30, used=45)


def test_the_flags_of_episodes_that_are_over_belong_to_the_snapshot() -> None:
    one = Player(cartpoles(AutoresetMode.NEXT_STEP), seed=1)
    one.begin()
    while not one.env.unwrapped._autoreset_envs.any():
        one.play(1)
    other = cartpoles(AutoresetMode.NEXT_STEP)
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one.env)))
    np.testing.assert_array_equal(other._autoreset_envs, one.env.unwrapped._autoreset_envs)


def test_what_the_others_show_when_one_is_reset_belongs_to_the_snapshot() -> None:
    one, other = (
        Player(cartpoles(AutoresetMode.DISABLED), seed=1),
        cartpoles(AutoresetMode.DISABLED),
    )
    one.begin()
    one.play(5)
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one.env)))
    options = {"reset_mask": np.array([False, True, False])}
    shown = [env.reset(options=dict(options))[0] for env in (one.env, other)]
    np.testing.assert_array_equal(*shown)


def test_recorders_go_around_replayed_environments_only() -> None:
    env = snapshots.prepare(SyncVectorEnv([Gauge, Gauge]))
    assert [type(sub) for sub in env.envs] == [snapshots.Recorder] * 2
    stored = cartpoles(AutoresetMode.DISABLED)
    before = [*stored.envs]
    assert snapshots.prepare(stored).envs == before


def test_preparing_twice_records_once() -> None:
    env = snapshots.prepare(snapshots.prepare(SyncVectorEnv([Gauge])))
    assert isinstance(env.envs[0].env, Gauge)


@every_moment
def test_gymnasiums_vectorised_cartpole_goes_on(steps: int) -> None:
    def make() -> VectorEnv[Any, Any, Any]:
        return gym.make_vec("CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point")

    assert snapshots.snapshot_kind(make()) == "exact"
    assert_goes_on(make, steps=steps)
    assert_goes_on(make, steps=steps, used=30)


@every_mode
@every_moment
def test_a_torch_environment_goes_on(mode: AutoresetMode, steps: int) -> None:
    assert snapshots.snapshot_kind(TorchCountingEnv(mode)) == "exact"
    assert_goes_on(lambda: TorchCountingEnv(mode), steps=steps)


WRAPPERS = {
    "statistics": vector_wrappers.RecordEpisodeStatistics,
    "observation": vector_wrappers.NormalizeObservation,
    "reward": vector_wrappers.NormalizeReward,
    "clip": lambda env: vector_wrappers.ClipReward(env, -0.5, 0.5),
    "vectorised": lambda env: vector_wrappers.RescaleObservation(
        env, np.float32(-1), np.float32(1)
    ),
    "transform": lambda env: vector_wrappers.TransformReward(env, np.negative),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_vector_wrappers_go_on(wrapper: str) -> None:
    def make() -> VectorEnv[Any, Any, Any]:
        car = functools.partial(make_env, "MountainCar-v0", {"max_episode_steps": 9})
        return WRAPPERS[wrapper](SyncVectorEnv([car] * 2))

    assert snapshots.snapshot_kind(make()) == "exact"
    assert_goes_on(make, steps=31, after=30)


def test_the_duration_of_an_episode_goes_on_in_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make() -> Any:
        return vector_wrappers.RecordEpisodeStatistics(cartpoles(AutoresetMode.DISABLED, 1))

    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    one, other = make(), make()
    one.reset(seed=0)
    now[0] = 103.0
    state = through_a_checkpoint(snapshots.take(one))
    now[0] = 7.0  # another process, another beginning of time
    snapshots.restore(other, state)
    assert other.episode_start_times.tolist() == [4.0]


# ---------------------------------------------------------------- what is refused


def refusal(env: Any, state: Any) -> str:
    with pytest.raises(InvalidValue) as caught:
        snapshots.restore(env, state)
    return str(caught.value)


def test_another_number_of_environments_is_refused() -> None:
    state = snapshots.take(cartpoles(AutoresetMode.DISABLED, 3))
    message = refusal(cartpoles(AutoresetMode.DISABLED, 2), state)
    assert message == "the snapshot belongs to an environment with num_envs 3: expected 2."


def test_another_autoreset_mode_is_refused() -> None:
    state = snapshots.take(cartpoles(AutoresetMode.DISABLED))
    assert refusal(cartpoles(AutoresetMode.SAME_STEP), state) == (
        "the snapshot belongs to an environment with autoreset AutoresetMode.DISABLED: expected "
        "AutoresetMode.SAME_STEP."
    )


def test_what_fits_only_in_part_changes_nothing() -> None:
    def make(second: Any) -> SyncVectorEnv:
        return SyncVectorEnv([functools.partial(make_env, "MountainCar-v0"), second])

    plain = make(functools.partial(make_env, "MountainCar-v0"))
    wrapped = make(lambda: gym.wrappers.ClipReward(make_env("MountainCar-v0"), 0, 1))
    wrapped.reset(seed=0)
    before = snapshots.take(plain)
    assert "ClipReward" in refusal(plain, snapshots.take(wrapped))
    assert_same(snapshots.take(plain), before)


def test_a_vector_environment_with_attributes_that_cannot_be_stored_is_impossible() -> None:
    env = TorchCountingEnv(AutoresetMode.DISABLED)
    env.extra = [{1, 2}]  # type: ignore[attr-defined]
    kind, reason = snapshots.declare(env)
    assert kind == "impossible"
    assert reason == (
        "TorchCountingEnv: attributes.extra[0] is a builtins.set, which no snapshot can hold"
    )
    with pytest.raises(InvalidType, match=r"cannot be snapshotted .*attributes\.extra\[0\]"):
        snapshots.take(env)


def test_one_impossible_environment_makes_the_whole_impossible() -> None:
    class Robot(Gauge):
        pass

    snapshots.register_family(Robot, snapshots.Impossible("it moves an arm"))
    env = SyncVectorEnv([Gauge, Robot])
    assert snapshots.declare(env) == ("impossible", "Robot: it moves an arm")


def test_the_counting_environments_are_replayed() -> None:
    assert snapshots.snapshot_kind(SyncVectorEnv(makers(PLANS))) == "replayed"
