"""The families of what comes with gymnasium, ale-py and torchrl, by the names of their classes.

Names, so that nothing is imported that is not in use. A subclass belongs to its parent's family.
"""

from __future__ import annotations

from hookrl.envs.snapshots.ale import Ale
from hookrl.envs.snapshots.attributes import Attributes
from hookrl.envs.snapshots.box2d import FreshWorld
from hookrl.envs.snapshots.family import Family, Impossible
from hookrl.envs.snapshots.mujoco import Mujoco
from hookrl.envs.snapshots.torchrl import UNSUPPORTED, Transformed, Wrapped
from hookrl.envs.snapshots.vector import SyncVector
from hookrl.envs.snapshots.workers import AsyncVector
from hookrl.envs.snapshots.wrappers import ATARI, EPISODE_STATISTICS, VIDEO, Checker

_ATTRIBUTES = Attributes()
_TABULAR = Attributes(
    # Made from a map, the same in every copy.
    constants=("P", "desc", "initial_state_distrib", "locs", "locs_colors", "_cliff")
)
_JAX = Impossible("its random numbers are JAX's, which gymnasium does not let anyone set")

_GYMNASIUM: dict[str, Family] = {
    "envs.classic_control.acrobot.AcrobotEnv": _ATTRIBUTES,
    "envs.classic_control.cartpole.CartPoleEnv": _ATTRIBUTES,
    "envs.classic_control.cartpole.CartPoleVectorEnv": _ATTRIBUTES,
    "envs.classic_control.continuous_mountain_car.Continuous_MountainCarEnv": _ATTRIBUTES,
    "envs.classic_control.mountain_car.MountainCarEnv": _ATTRIBUTES,
    "envs.classic_control.pendulum.PendulumEnv": _ATTRIBUTES,
    "envs.toy_text.blackjack.BlackjackEnv": _TABULAR,
    "envs.toy_text.cliffwalking.CliffWalkingEnv": _TABULAR,
    "envs.toy_text.frozen_lake.FrozenLakeEnv": _TABULAR,
    "envs.toy_text.taxi.TaxiEnv": _TABULAR,
    "envs.mujoco.mujoco_env.MujocoEnv": Mujoco(),
    "envs.box2d.bipedal_walker.BipedalWalker": FreshWorld(),
    "envs.box2d.car_racing.CarRacing": FreshWorld(),
    "envs.functional_jax_env.FunctionalJaxEnv": _JAX,
    "envs.functional_jax_env.FunctionalJaxVectorEnv": _JAX,
    "vector.sync_vector_env.SyncVectorEnv": SyncVector(),
    "vector.async_vector_env.AsyncVectorEnv": AsyncVector(),
    "wrappers.common.PassiveEnvChecker": Checker(),
    "wrappers.common.RecordEpisodeStatistics": EPISODE_STATISTICS,
    "wrappers.vector.common.RecordEpisodeStatistics": EPISODE_STATISTICS,
    "wrappers.rendering.RecordVideo": VIDEO,
    "wrappers.rendering.RenderCollection": VIDEO,
    "wrappers.vector.rendering.RecordVideo": VIDEO,
    "wrappers.atari_preprocessing.AtariPreprocessing": ATARI,
}
BUILT_IN: dict[str, Family] = {
    **{f"gymnasium.{name}": family for name, family in _GYMNASIUM.items()},
    "ale_py.env.AtariEnv": Ale(),
    "torchrl.envs.libs.gym.GymWrapper": Wrapped(),
    "torchrl.envs.transforms._base.TransformedEnv": Transformed(),
    "torchrl.envs.common.EnvBase": UNSUPPORTED,
}
"""Family of each class, by module and name."""
