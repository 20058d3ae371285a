"""gymnasium's vectorised CartPole behind the interface that Stable-Baselines3 has for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.peers.same_step import SameStepCartPole


class VectorCartPole(VecEnv):
    """Steps all environments at once, without the Monitor that keeps episode statistics.

    Args:
        num_envs: environments.
    """

    def __init__(self, num_envs: int) -> None:
        self.env = SameStepCartPole(num_envs)
        super().__init__(num_envs, self.env.single_observation_space, self.env.single_action_space)
        self._actions: Any = None
        self._nothing: list[dict[str, Any]] = [{} for _ in range(num_envs)]

    def reset(self) -> Any:
        """Begin new episodes, by the seed that was last given."""
        observation, _ = self.env.reset(seed=self._seeds[0])
        self._reset_seeds()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Remember the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """Step, and say where episodes ended what their last observations were."""
        observation, reward, terminated, truncated, found = self.env.step(self._actions)
        done = terminated | truncated
        infos = self._nothing
        if found:
            infos = list(infos)
            for index in np.flatnonzero(done):
                infos[index] = {
                    "terminal_observation": found["final_obs"][index],
                    "TimeLimit.truncated": bool(truncated[index] and not terminated[index]),
                }
        return observation, reward, done, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the whole once for each environment."""
        return [getattr(self.env, attr_name, None)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the whole."""
        setattr(self.env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """There are no single environments to call."""
        raise NotImplementedError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Nothing is wrapped."""
        return [False] * len(self._indices(indices))

    def _indices(self, indices: Any) -> Sequence[int]:
        return list(self._get_indices(indices))
