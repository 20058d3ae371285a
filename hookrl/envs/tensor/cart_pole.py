"""CartPole: a pole on a cart, to be kept upright by pushing the cart left or right."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hookrl.envs.tensor.base import TensorEnv


class CartPole(TensorEnv):
    """The cart-pole problem of Barto, Sutton & Anderson (1983), as gymnasium's CartPole-v1.

    Constants, explicit Euler integration and thresholds are those of gymnasium's
    ``classic_control/cartpole.py``; the equations of motion without friction are derived by Florian
    (2007), "Correct equations for the dynamics of the cart-pole system".

    - Physical state and observation: position of the cart (m), its velocity (m/s), angle of the
      pole from upright (rad), its angular velocity (rad/s).
    - Action: 0 pushes left, 1 pushes right.
    - Reward: 1 for every step, the last one included.
    - Terminated beyond 2.4 m or 12°; truncated after 500 steps.
    - An episode begins with each of the four uniform on [-0.05, 0.05).
    """

    time_limit = 500
    noise_size = 4
    physics_size = 4

    gravity = 9.8
    """m/s²."""
    cart_mass = 1.0
    """kg."""
    pole_mass = 0.1
    """kg."""
    half_length = 0.5
    """From the joint to the pole's centre of mass, m."""
    force = 10.0
    """Of one push, N."""
    time_step = 0.02
    """s."""
    position_limit = 2.4
    """m."""
    angle_limit = math.radians(12)
    """rad."""
    start = 0.05
    """Bound of each number that an episode begins with."""

    @staticmethod
    def make_spaces() -> tuple[spaces.Box, spaces.Discrete]:
        """Observations reach to twice the thresholds; there are two actions."""
        high = np.array([2 * 2.4, np.inf, 2 * math.radians(12), np.inf], dtype=np.float32)
        return spaces.Box(-high, high), spaces.Discrete(2)

    def initial(self, noise: Tensor) -> Tensor:
        """Near the middle, nearly upright and nearly at rest."""
        return noise * (2 * self.start) - self.start

    def dynamics(self, physics: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One explicit Euler step of the two coupled bodies."""
        _, velocity, angle, spin = physics.unbind(-1)
        sin, cos = angle.sin(), angle.cos()
        mass = self.cart_mass + self.pole_mass
        share = self.pole_mass * self.half_length / mass
        push = action.to(physics.dtype) * (2 * self.force / mass) - self.force / mass
        # What would accelerate the cart if the pole did not turn faster or slower.
        free = torch.addcmul(push, spin * spin, sin, value=share)
        torque = torch.addcmul(self.gravity * sin, cos, free, value=-1)
        spin_change = torque / (4 / 3 * self.half_length - share * cos * cos)
        velocity_change = torch.addcmul(free, spin_change, cos, value=-share)
        rates = torch.stack((velocity, velocity_change, spin, spin_change), -1)
        physics = torch.add(physics, rates, alpha=self.time_step)
        out = physics[..., 0].abs() > self.position_limit
        terminated = out | (physics[..., 2].abs() > self.angle_limit)
        return physics, torch.ones_like(angle), terminated

    def observe(self, physics: Tensor) -> Tensor:
        """The physical state itself."""
        return physics.clone()
