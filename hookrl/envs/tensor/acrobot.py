"""Acrobot: two links that hang from a joint, to be swung up by a torque between them."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hookrl.envs.tensor.base import TensorEnv


class Acrobot(TensorEnv):
    """The acrobot of Sutton (1996) in the form of Sutton & Barto's book, gymnasium's Acrobot-v1.

    Equations, constants and the integration by one step of the classical Runge-Kutta method of
    fourth order are those of gymnasium's ``classic_control/acrobot.py`` (its "book" variant).

    - Physical state: angle of the first link from hanging down, angle of the second relative to the
      first (rad, both within ±π), and their angular velocities (rad/s).
    - Observation: cosine and sine of the first angle, of the second, and both velocities.
    - Action: 0, 1, 2 for a torque of -1, 0, 1 N m at the joint between the links.
    - Reward: -1 for every step, 0 for the one that ends the episode.
    - Terminated when the tip is more than the length of a link above the upper joint; truncated
      after 500 steps.
    - An episode begins with each of the four uniform on [-0.1, 0.1).
    """

    time_limit = 500
    noise_size = 4
    physics_size = 4

    gravity = 9.8
    """m/s²."""
    mass = 1.0
    """Of each link, kg."""
    length = 1.0
    """Of the first link, m."""
    centre = 0.5
    """From the joint of a link to its centre of mass, m."""
    inertia = 1.0
    """Moment of inertia of each link, kg m²."""
    time_step = 0.2
    """s."""
    speed_limits = (4 * math.pi, 9 * math.pi)
    """Of the two angular velocities, rad/s."""
    height = 1.0
    """Above the upper joint, to be exceeded by the tip, in links of 1 m."""
    start = 0.1
    """Bound of each number that an episode begins with."""

    @staticmethod
    def make_spaces() -> tuple[spaces.Box, spaces.Discrete]:
        """Observations are bounded by what is possible; there are three actions."""
        high = np.array([1, 1, 1, 1, 4 * math.pi, 9 * math.pi], dtype=np.float32)
        return spaces.Box(-high, high), spaces.Discrete(3)

    def initial(self, noise: Tensor) -> Tensor:
        """Hanging down, nearly at rest."""
        return noise * (2 * self.start) - self.start

    def dynamics(self, physics: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One Runge-Kutta step of the two links."""
        torque = action.to(physics.dtype) - 1
        dt = self.time_step
        first = self._rates(physics, torque)
        second = self._rates(torch.add(physics, first, alpha=dt / 2), torque)
        third = self._rates(torch.add(physics, second, alpha=dt / 2), torque)
        fourth = self._rates(torch.add(physics, third, alpha=dt), torque)
        rates = first + fourth + 2 * (second + third)
        upper, lower, spin, bend = torch.add(physics, rates, alpha=dt / 6).unbind(-1)
        upper, lower = (
            torch.remainder(angle + math.pi, 2 * math.pi) - math.pi for angle in (upper, lower)
        )
        spin, bend = (
            speed.clamp(-limit, limit)
            for speed, limit in zip((spin, bend), self.speed_limits, strict=True)
        )
        terminated = upper.cos() + (upper + lower).cos() < -self.height
        reward = terminated.to(physics.dtype) - 1
        return torch.stack((upper, lower, spin, bend), -1), reward, terminated

    def _rates(self, physics: Tensor, torque: Tensor) -> Tensor:
        """Time derivative of the physical state, float32 ``[envs, 4]``.

        With the coupling ``c = m l r cos(lower)``, r from joint to centre of mass, the two
        equations of motion are ``d1 spin' + d2 bend' = -phi1`` and
        ``d2 spin' + d3 bend' = torque - m l r spin² sin(lower) - phi2``.
        """
        upper, lower, spin, bend = physics.unbind(-1)
        hanging = self.mass * self.centre**2 + self.inertia
        coupling = self.mass * self.length * self.centre
        d2 = coupling * lower.cos() + hanging
        d1 = 2 * d2 + self.mass * self.length**2
        weight = self.mass * self.gravity
        phi2 = weight * self.centre * (upper + lower).sin()
        phi1 = torch.add(phi2, upper.sin(), alpha=weight * (self.centre + self.length))
        pull = coupling * lower.sin()
        phi1 = phi1 - pull * bend * torch.add(bend, spin, alpha=2)
        ratio = d2 / d1
        bend_change = (torque + ratio * phi1 - pull * spin * spin - phi2) / (hanging - ratio * d2)
        spin_change = -(d2 * bend_change + phi1) / d1
        return torch.stack((spin, bend, spin_change, bend_change), -1)

    def observe(self, physics: Tensor) -> Tensor:
        """Cosine and sine of both angles, and the angular velocities."""
        upper, lower, spin, bend = physics.unbind(-1)
        seen = (upper.cos(), upper.sin(), lower.cos(), lower.sin(), spin, bend)
        return torch.stack(seen, -1)
