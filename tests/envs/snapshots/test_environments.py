"""Every environment of the families that come with gymnasium and ale-py goes on as it did."""

from __future__ import annotations

import importlib.util
from typing import Any

import gymnasium as gym
import pytest

from hookrl.envs import make_env
from hookrl.envs.snapshots import check_environment, snapshot_kind

CLASSIC = ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"]
TOY_TEXT = [
    *("FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v4", "Blackjack-v1"),
    *("CliffWalking-v1", "CliffWalkingSlippery-v1"),
]
MUJOCO = [
    f"{name}-v5"
    for name in (
        *("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum"),
        *("InvertedPendulum", "Pusher", "Reacher", "Swimmer", "Walker2d"),
    )
]
BOX2D = ["LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3"]
ALE = ["ALE/Pong-v5", "PongNoFrameskip-v4"]


def needs(package: str) -> Any:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed")


@pytest.mark.parametrize("env_id", [*CLASSIC, *TOY_TEXT])
@pytest.mark.parametrize("steps", [0, 1, 30])
def test_classic_control_and_toy_text_are_exact(env_id: str, steps: int) -> None:
    assert check_environment(lambda: make_env(env_id), steps=steps) == "exact"


@needs("mujoco")
@pytest.mark.parametrize("env_id", MUJOCO)
def test_mujoco_is_exact(env_id: str) -> None:
    assert check_environment(lambda: make_env(env_id), steps=20, after=60) == "exact"


@needs("Box2D")
@pytest.mark.filterwarnings("ignore:builtin type .* has no __module__")
@pytest.mark.parametrize("env_id", BOX2D)
def test_box2d_is_replayed(env_id: str) -> None:
    assert check_environment(lambda: make_env(env_id), steps=150) == "replayed"


@needs("Box2D")
def test_car_racing_is_replayed() -> None:
    kwargs = {"render_mode": None, "max_episode_steps": 3}
    kind = check_environment(lambda: make_env("CarRacing-v3", kwargs), steps=2, after=3)
    assert kind == "replayed"


@needs("ale_py")
@pytest.mark.parametrize("env_id", ALE)
def test_atari_games_are_exact(env_id: str) -> None:
    import ale_py

    gym.register_envs(ale_py)
    assert check_environment(lambda: make_env(env_id), steps=25, after=60) == "exact"


def test_what_is_no_environment_is_impossible() -> None:
    assert snapshot_kind(object()) == "impossible"
