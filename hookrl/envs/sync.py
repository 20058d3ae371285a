"""Sub-environments one after the other, in this process, with little around each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from hookrl.errors import InvalidValue

_ONE_ARRAY = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class SerialVectorEnv(SyncVectorEnv):
    """Gymnasium's `SyncVectorEnv` in autoreset mode DISABLED, for whoever reads no infos.

    Where observations and actions are one array each, what it adds to the sub-environments' own
    time is a third of gymnasium's: observations are written straight into the array that is
    returned, and infos are not gathered. The sub-environments see the same calls. What a step
    returns is overwritten by the next one, and by a reset.

    Args:
        env_fns: one function for each environment.
    """

    def __init__(self, env_fns: Sequence[Callable[[], Any]]) -> None:
        super().__init__(env_fns, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        self.writes = all(
            isinstance(space, _ONE_ARRAY)
            for space in (self.single_observation_space, self.single_action_space)
        )
        """Whether `step_into` can be used: observations and actions are one array each."""

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all environments, or where ``options["reset_mask"]`` is true."""
        if not self.writes or seed is not None or options is None or [*options] != ["reset_mask"]:
            return super().reset(seed=seed, options=options)
        for i in np.flatnonzero(options["reset_mask"]).tolist():
            self._env_obs[i], _ = self.envs[i].reset(seed=None, options={})
            self._terminations[i] = self._truncations[i] = False
        for i, latest in enumerate(self._env_obs):
            self._observations[i] = latest
        return self._observations, {}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment; each must have been reset since its episode ended.

        Raises:
            InvalidValue: for another number of actions than environments.
        """
        if not self.writes:
            return super().step(actions)
        if len(actions) != self.num_envs:
            raise InvalidValue(
                f"{len(actions)} actions for {self.num_envs} environments: expected one for each."
            )
        shown = self._observations, self._rewards, self._terminations, self._truncations
        self.step_into(actions, *shown)
        return *shown, {}

    def step_into(
        self,
        actions: Any,
        observations: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> bool:
        """Step every environment, and write what it led to where the caller keeps it.

        Args:
            actions: ``[envs, *shape]``.
            observations: ``[envs, *shape]``, written to, as are the others, ``[envs]``.
            rewards: of any floating type.
            terminated: bool.
            truncated: bool.

        Returns:
            Whether any episode ended.
        """
        latest, ended = self._env_obs, False
        # Going through an array takes several times as long as asking for its elements.
        for i, env in enumerate(self.envs):
            observation, rewards[i], over, cut, _ = env.step(actions[i])
            observations[i] = latest[i] = observation
            terminated[i], truncated[i] = over, cut
            if over or cut:
                ended = True
        return ended
