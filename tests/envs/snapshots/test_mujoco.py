"""MuJoCo: what the integration state alone would miss, and what is refused."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from midway import through_a_checkpoint

from hookrl.envs import make_env, snapshots
from hookrl.errors import InvalidValue

mujoco = pytest.importorskip("mujoco", reason="mujoco is not installed")


def played(env_id: str, steps: int = 15, **options: Any) -> Any:
    env = make_env(env_id, options)
    env.reset(seed=0)
    for _ in range(steps):
        env.step(np.full(env.action_space.shape, 0.3, np.float32))
    return env


@pytest.mark.parametrize("env_id", ["Ant-v5", "Humanoid-v5"])
def test_everything_that_was_computed_is_as_it_was(env_id: str) -> None:
    one, other = played(env_id), make_env(env_id)
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one)))
    for name in ("xpos", "xipos", "cfrc_ext", "cinert", "cvel", "qfrc_actuator", "qacc_warmstart"):
        found, expected = (getattr(env.unwrapped.data, name) for env in (other, one))
        np.testing.assert_array_equal(found, expected, err_msg=name)
    assert other.unwrapped.data.time == one.unwrapped.data.time


def test_the_simulation_stays_the_object_that_the_renderer_holds() -> None:
    one, other = played("Hopper-v5"), make_env("Hopper-v5")
    data = other.unwrapped.data
    snapshots.restore(other, snapshots.take(one))
    assert other.unwrapped.data is data


def test_a_changed_model_is_refused() -> None:
    one, other = played("Hopper-v5"), make_env("Hopper-v5")
    one.unwrapped.model.body_mass[1] *= 1.01
    before = other.unwrapped.data.qpos.copy()
    with pytest.raises(
        InvalidValue, match="belongs to another MuJoCo model than that of <HopperEn"
    ):
        snapshots.restore(other, snapshots.take(one))
    np.testing.assert_array_equal(other.unwrapped.data.qpos, before)


def test_other_options_of_the_simulation_are_refused() -> None:
    one, other = played("Hopper-v5"), make_env("Hopper-v5")
    one.unwrapped.model.opt.timestep *= 2
    with pytest.raises(InvalidValue, match="belongs to another MuJoCo model"):
        snapshots.restore(other, snapshots.take(one))


def test_a_picture_of_another_size_is_no_other_model() -> None:
    one, other = played("Hopper-v5"), make_env("Hopper-v5", {"width": 900, "height": 900})
    snapshots.restore(other, snapshots.take(one))
    assert other.unwrapped.width == 900


def test_bodies_that_may_fall_asleep_are_replayed() -> None:
    env = make_env("Hopper-v5")
    env.unwrapped.model.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
    assert snapshots.declare(env) == ("replayed", "HopperEnv: its bodies may fall asleep")


def test_an_environment_that_holds_on_to_the_simulators_memory_is_replayed() -> None:
    env = make_env("Hopper-v5")
    env.unwrapped.height_now = env.unwrapped.data.qpos[1:2]  # type: ignore[attr-defined]
    assert snapshots.snapshot_kind(env) == "replayed"


def test_users_environments_on_mujoco_belong_to_the_family() -> None:
    from gymnasium.envs.mujoco.hopper_v5 import HopperEnv

    class Fickle(HopperEnv):
        """Draws its target anew whenever it likes."""

        target = 0.0

        def step(self, action: Any) -> Any:
            if self.np_random.random() < 0.2:
                self.target = float(self.np_random.normal())
            observation, reward, *rest = super().step(action)
            return observation, reward + self.target, *rest

    def make() -> Any:
        return gym.wrappers.TimeLimit(Fickle(), 12)

    assert snapshots.check_environment(make, steps=20, after=60) == "exact"
