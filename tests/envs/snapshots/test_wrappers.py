"""Gymnasium's wrappers go on with the counters and statistics that they had."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from midway import Player, through_a_checkpoint

from hookrl.envs import make_env, snapshots
from hookrl.envs.snapshots import check_environment

CARTPOLE = functools.partial(make_env, "CartPole-v1")
PENDULUM = functools.partial(make_env, "Pendulum-v1", {"max_episode_steps": 25})

WRAPPED: dict[str, Callable[[], Any]] = {
    "time limit": PENDULUM,
    "checker": lambda: gym.make("CartPole-v1"),
    "observation statistics": lambda: wrappers.NormalizeObservation(CARTPOLE()),
    "reward statistics": lambda: wrappers.NormalizeReward(PENDULUM()),
    "episode statistics": lambda: wrappers.RecordEpisodeStatistics(CARTPOLE()),
    "time in the observation": lambda: wrappers.TimeAwareObservation(CARTPOLE()),
    "stacked frames": lambda: wrappers.FrameStackObservation(CARTPOLE(), 4),
    "delayed": lambda: wrappers.DelayObservation(CARTPOLE(), 3),
    "sticky actions": lambda: wrappers.StickyAction(CARTPOLE(), 0.4, (2, 4)),
    "repeated actions": lambda: wrappers.RepeatAction(CARTPOLE(), 2),
    "skipped frames": lambda: wrappers.MaxAndSkipObservation(CARTPOLE(), 2),
    "autoreset": lambda: wrappers.Autoreset(CARTPOLE()),
    "rescaled actions": lambda: wrappers.RescaleAction(PENDULUM(), np.float32(-1), np.float32(1)),
    "discrete actions": lambda: wrappers.DiscretizeAction(PENDULUM(), 5),
    "transformed": lambda: wrappers.TransformReward(CARTPOLE(), lambda reward: 2 * reward),
    "several": lambda: wrappers.NormalizeReward(
        wrappers.RecordEpisodeStatistics(wrappers.FrameStackObservation(CARTPOLE(), 2))
    ),
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("steps", [1, 37])
def test_a_wrapper_goes_on(wrapped: str, steps: int) -> None:
    assert check_environment(WRAPPED[wrapped], steps=steps, after=60) == "exact"


def test_the_statistics_of_past_episodes_belong_to_the_snapshot() -> None:
    def make() -> Any:
        return gym.vector.SyncVectorEnv([WRAPPED["episode statistics"]])

    one, other = Player(make(), seed=0), make()
    one.begin()
    one.play(90)
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one.env)))
    queues = [env.envs[0].return_queue for env in (one.env, other)]
    assert queues[0] == queues[1]
    assert len(queues[0]) > 1
    assert queues[0].maxlen == queues[1].maxlen


def test_the_frames_of_a_video_are_no_state(tmp_path: Any) -> None:
    pytest.importorskip("moviepy", reason="moviepy, which RecordVideo needs, is not installed")

    def make() -> Any:
        env = make_env("CartPole-v1", {"render_mode": "rgb_array"})
        return wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda episode: False)

    assert check_environment(make, steps=20, after=20) == "exact"


def test_a_checker_checks_on_without_the_data_of_the_first_step() -> None:
    one, other = gym.make("CartPole-v1"), gym.make("CartPole-v1")
    one.reset(seed=0)
    one.step(0)
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one)))
    expected, found = one.step(0), other.step(0)
    assert expected[0].tobytes() == found[0].tobytes()
    assert expected[1:4] == found[1:4]
