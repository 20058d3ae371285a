"""Tensor environments by the ids that gymnasium gives the same problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hookrl.envs.tensor.acrobot import Acrobot
from hookrl.envs.tensor.base import TensorEnv
from hookrl.envs.tensor.cart_pole import CartPole
from hookrl.envs.tensor.mountain_car import MountainCar
from hookrl.envs.tensor.pendulum import Pendulum
from hookrl.errors import InvalidValue, did_you_mean

ENVIRONMENTS: dict[str, Callable[..., TensorEnv]] = {
    "Acrobot-v1": Acrobot,
    "CartPole-v1": CartPole,
    "MountainCar-v0": MountainCar,
    "Pendulum-v1": Pendulum,
}
"""What makes the environments of each id; one of your own becomes known by an entry here."""


def make(
    env_id: str, num_envs: int = 1, *, device: torch.device | str = "cpu", **options: Any
) -> TensorEnv:
    """Make a tensor environment by its id.

    Args:
        env_id: a name in `ENVIRONMENTS`.
        num_envs: copies in the batch.
        device: where all its tensors are.
        options: further arguments of `TensorEnv`.

    Raises:
        InvalidValue: if no tensor environment has that id, or an argument is out of its range.
    """
    if env_id not in ENVIRONMENTS:
        raise InvalidValue(
            f"unknown tensor environment {env_id!r}{did_you_mean(env_id, ENVIRONMENTS)}: expected "
            f"one of {', '.join(sorted(ENVIRONMENTS))}."
        )
    return ENVIRONMENTS[env_id](num_envs, device=device, **options)
