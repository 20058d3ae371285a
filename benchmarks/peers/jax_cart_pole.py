"""CartPole-v1 in JAX, many at a time: the equations and limits of gymnasium's."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random

_CART, _POLE, _HALF_LENGTH = 1.0, 0.1, 0.5
_GRAVITY, _FORCE, _TIME_STEP = 9.8, 10.0, 0.02
_FARTHEST, _WIDEST, _LONGEST = 2.4, math.radians(12), 500
_START = 0.05


class Carts(NamedTuple):
    """Where the carts are."""

    physics: jax.Array
    """Position, velocity, angle and its velocity, ``[envs, 4]``; it is what the policy sees."""
    steps: jax.Array
    """Steps since the start of the episode, ``[envs]``."""


def begin(key: jax.Array, count: int) -> Carts:
    """Return carts at the start of their episodes."""
    physics = random.uniform(key, (count, 4), minval=-_START, maxval=_START)
    return Carts(physics, jnp.zeros(count, jnp.int32))


def step(carts: Carts, action: jax.Array, key: jax.Array) -> tuple[Carts, jax.Array, jax.Array]:
    """Push every cart to the left (0) or right (1), and begin again where an episode ended.

    Returns:
        The carts; rewards, ``[envs]``; and where episodes ended, by a fall or by the time limit.
    """
    position, velocity, angle, spin = carts.physics.T
    mass = _CART + _POLE
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    push = jnp.where(action == 1, _FORCE, -_FORCE)
    free = (push + _POLE * _HALF_LENGTH * spin**2 * sin) / mass
    torque = _GRAVITY * sin - cos * free
    spin_change = torque / (_HALF_LENGTH * (4.0 / 3.0 - _POLE * cos**2 / mass))
    velocity_change = free - _POLE * _HALF_LENGTH * spin_change * cos / mass
    rates = jnp.stack((velocity, velocity_change, spin, spin_change), axis=-1)
    moved = carts.physics + _TIME_STEP * rates

    steps = carts.steps + 1
    fell = (jnp.abs(moved[:, 0]) > _FARTHEST) | (jnp.abs(moved[:, 2]) > _WIDEST)
    done = fell | (steps >= _LONGEST)
    fresh = begin(key, len(position))
    physics = jnp.where(done[:, None], fresh.physics, moved)
    return Carts(physics, jnp.where(done, 0, steps)), jnp.ones(len(position)), done
