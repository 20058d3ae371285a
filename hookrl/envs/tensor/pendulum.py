"""Pendulum: a rod on a joint, to be swung up by a torque and kept there."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hookrl.envs.tensor.base import TensorEnv


class Pendulum(TensorEnv):
    """The inverted pendulum, as gymnasium's Pendulum-v1.

    Equations, constants and cost are those of gymnasium's ``classic_control/pendulum.py``: a
    uniform rod that turns about its end, integrated by semi-implicit Euler.

    - Physical state: angle from upright (rad), angular velocity (rad/s). The angle grows beyond a
      full turn by one step at most, so that float32 keeps its precision.
    - Observation: cosine and sine of the angle, angular velocity.
    - Action: torque (N m), float32 ``[envs, 1]``; clipped to ±2.
    - Reward: ``-(angle² + 0.1 velocity² + 0.001 torque²)``, of the state that the step starts from,
      with the angle within ±π.
    - Never terminated; truncated after 200 steps.
    - An episode begins with an angle uniform on [-π, π) and a velocity uniform on [-1, 1).
    """

    time_limit = 200
    noise_size = 2
    physics_size = 2

    gravity = 10.0
    """m/s²."""
    mass = 1.0
    """kg."""
    length = 1.0
    """m."""
    time_step = 0.05
    """s."""
    torque_limit = 2.0
    """N m."""
    speed_limit = 8.0
    """rad/s."""
    start_angle = math.pi
    """Bound of the angle that an episode begins with, rad."""
    start_speed = 1.0
    """Bound of the angular velocity that an episode begins with, rad/s."""

    @staticmethod
    def make_spaces() -> tuple[spaces.Box, spaces.Box]:
        """Both are bounded by what is possible."""
        high = np.array([1, 1, 8], dtype=np.float32)
        return spaces.Box(-high, high), spaces.Box(-2, 2, (1,), np.float32)

    def initial(self, noise: Tensor) -> Tensor:
        """Any angle, at most a slow turn."""
        angle, speed = noise.mul(2).sub(1).unbind(-1)
        return torch.stack((angle * self.start_angle, speed * self.start_speed), -1)

    def dynamics(self, physics: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One semi-implicit Euler step of the rod."""
        angle, speed = physics.unbind(-1)
        angle = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
        torque = action[..., 0].clamp(-self.torque_limit, self.torque_limit)
        cost = angle * angle + 0.1 * speed * speed + 0.001 * torque * torque
        falling = 1.5 * self.gravity / self.length * self.time_step
        turning = 3 / (self.mass * self.length**2) * self.time_step
        speed = speed + falling * angle.sin() + turning * torque
        speed = speed.clamp(-self.speed_limit, self.speed_limit)
        physics = torch.stack((angle + self.time_step * speed, speed), -1)
        return physics, -cost, torch.zeros_like(angle, dtype=torch.bool)

    def observe(self, physics: Tensor) -> Tensor:
        """Cosine and sine of the angle, and the angular velocity."""
        angle, speed = physics.unbind(-1)
        return torch.stack((angle.cos(), angle.sin(), speed), -1)
