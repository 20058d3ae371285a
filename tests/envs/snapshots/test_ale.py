"""Atari: sticky actions, wrappers, and what ALE does not give away."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from midway import through_a_checkpoint

from hookrl.envs import make_env, snapshots
from hookrl.envs.snapshots import check_environment
from hookrl.errors import InvalidValue

ale_py = pytest.importorskip("ale_py", reason="ale-py is not installed")
gym.register_envs(ale_py)


def pong(**options: Any) -> Any:
    return make_env("ALE/Pong-v5", {"obs_type": "ram", **options})


@pytest.mark.parametrize("steps", [12, 13, 14, 15])
def test_the_action_that_sticks_is_found(steps: int) -> None:
    # The stickier, the likelier that the frame after the snapshot repeats an action from before.
    kind = check_environment(
        lambda: pong(repeat_action_probability=0.8, frameskip=1), steps=steps, after=20, seed=steps
    )
    assert kind == "exact"


def test_taking_a_snapshot_changes_nothing() -> None:
    one, other = (pong(repeat_action_probability=0.7, frameskip=1) for _ in range(2))
    for env in (one, other):
        env.reset(seed=0)
    for action in np.random.default_rng(0).integers(6, size=16):
        snapshots.take(one)
        assert one.step(action)[0].tolist() == other.step(action)[0].tolist()


def test_a_random_frame_skip_goes_on() -> None:
    assert check_environment(lambda: pong(frameskip=(2, 5)), steps=10, after=30) == "exact"


def test_stacked_frames_go_on() -> None:
    def make() -> Any:
        return gym.wrappers.FrameStackObservation(pong(obs_type="grayscale"), 3)

    assert check_environment(make, steps=6, after=10) == "exact"


def test_preprocessed_frames_go_on() -> None:
    pytest.importorskip("cv2", reason="opencv, which AtariPreprocessing needs, is not installed")

    def make() -> Any:
        return gym.wrappers.AtariPreprocessing(make_env("PongNoFrameskip-v4"))

    assert check_environment(make, steps=6, after=10) == "exact"


def test_another_game_or_other_settings_are_refused() -> None:
    one = pong()
    one.reset(seed=0)
    state = through_a_checkpoint(snapshots.take(one))
    with pytest.raises(
        InvalidValue, match=r"an Atari game made with .*'pong'.*: expected .*'tennis'"
    ):
        snapshots.restore(make_env("ALE/Tennis-v5", {"obs_type": "ram"}), _of_tennis(state))
    with pytest.raises(InvalidValue, match=r"probability': 0\.25.*: expected .*probability': 0\.5"):
        snapshots.restore(pong(repeat_action_probability=0.5), state)
    snapshots.restore(pong(render_mode="rgb_array"), state)


def _of_tennis(state: Any) -> Any:
    """As if the two games had the same actions."""
    tennis = make_env("ALE/Tennis-v5", {"obs_type": "ram"})
    tennis.reset(seed=0)
    return {**state, "spaces": snapshots.take(tennis)["spaces"]}


def test_what_ale_does_not_give_away_is_impossible() -> None:
    assert snapshots.declare(pong(sound_obs=True)) == (
        "impossible",
        "AtariEnv: its observations depend on sound or earlier frames, which ALE does not store",
    )
    assert snapshots.declare(pong(continuous=True)) == (
        "impossible",
        "AtariEnv: sticky continuous actions cannot be read from ALE",
    )
    assert snapshots.snapshot_kind(pong(continuous=True, repeat_action_probability=0.0)) == "exact"


def test_ales_own_vector_environment_is_impossible() -> None:
    env = ale_py.AtariVectorEnv("pong", num_envs=2) if hasattr(ale_py, "AtariVectorEnv") else None
    if env is None:
        pytest.skip("this ale-py has no vector environment")
    assert snapshots.snapshot_kind(env) == "impossible"
