"""MountainCar: a car too weak to climb a hill without swinging back first."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional as F

from hookrl.envs.tensor.base import TensorEnv


class MountainCar(TensorEnv):
    """The mountain car of Moore (1990) with discrete actions, as gymnasium's MountainCar-v0.

    Equations and constants are those of gymnasium's ``classic_control/mountain_car.py``.

    - Physical state and observation: position along the valley, velocity (per step).
    - Action: 0 accelerates to the left, 1 not at all, 2 to the right.
    - Reward: -1 for every step, the last one included.
    - Terminated at position 0.5 or beyond, unless rolling back; truncated after 200 steps.
    - An episode begins at rest, at a position uniform on [-0.6, -0.4).
    """

    time_limit = 200
    noise_size = 1
    physics_size = 2

    force = 0.001
    """Change of velocity by one action, per step²."""
    gravity = 0.0025
    """Change of velocity where the valley is steepest, per step²."""
    left_end = -1.2
    """Position of the wall, which stops the car."""
    right_end = 0.6
    """Position where the track ends."""
    speed_limit = 0.07
    """Largest velocity, per step."""
    goal = 0.5
    """Position to be reached."""
    start = (-0.6, -0.4)
    """Between which positions an episode begins."""

    @staticmethod
    def make_spaces() -> tuple[spaces.Box, spaces.Discrete]:
        """Observations are bounded by the track and the largest velocity."""
        low, high = np.array([[-1.2, -0.07], [0.6, 0.07]], dtype=np.float32)
        return spaces.Box(low, high), spaces.Discrete(3)

    def initial(self, noise: Tensor) -> Tensor:
        """At the bottom, at rest."""
        low, high = self.start
        return F.pad(noise * (high - low) + low, (0, 1))

    def dynamics(self, physics: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Velocity first, then position; the wall on the left takes all velocity."""
        position, velocity = physics.unbind(-1)
        push = (action.to(physics.dtype) - 1) * self.force
        velocity = velocity + (push - self.gravity * (3 * position).cos())
        velocity = velocity.clamp(-self.speed_limit, self.speed_limit)
        position = position + velocity
        velocity = torch.where(position <= self.left_end, velocity.clamp(min=0), velocity)
        position = position.clamp(self.left_end, self.right_end)
        terminated = (position >= self.goal) & (velocity >= 0)
        return torch.stack((position, velocity), -1), -torch.ones_like(position), terminated

    def observe(self, physics: Tensor) -> Tensor:
        """The physical state itself."""
        return physics.clone()
