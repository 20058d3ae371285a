"""gymnasium's vectorised CartPole for peers that expect a reset in the step that ends an episode.

As it comes it spends a frame on each reset (autoreset mode NEXT_STEP), which they would learn from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode


class SameStepCartPole(CartPoleVectorEnv):
    """Resets what ended in the same step; ``infos["final_obs"]`` holds what that step led to."""

    metadata = {  # noqa: RUF012 - as in the class above
        **CartPoleVectorEnv.metadata,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step every environment."""
        observation, reward, terminated, truncated, _ = super().step(action)
        done = self.prev_done
        if not done.any():
            return observation, reward, terminated, truncated, {}
        final = observation.copy()
        assert self.state is not None
        self.state[:, done] = self.np_random.uniform(self.low, self.high, (4, int(done.sum())))
        self.steps[done] = 0
        self.prev_done = np.zeros_like(done)
        infos = {"final_obs": final, "_final_obs": done}
        return self.state.T.astype(np.float32), reward, terminated, truncated, infos
