"""Tensor environments by the ids that gymnasium gives the same problems."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from hookrl.envs.tensor.acrobot import Acrobot
from hookrl.envs.tensor.base import TensorEnv
from hookrl.envs.tensor.cart_pole import CartPole
from hookrl.envs.tensor.mountain_car import MountainCar
from hookrl.envs.tensor.pendulum import Pendulum
from hookrl.errors import InvalidValue, MissingKey, did_you_mean

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
        MissingKey: if it takes no argument of such a name.
    """
    if env_id not in ENVIRONMENTS:
        raise InvalidValue(
            f"unknown tensor environment {env_id!r}{did_you_mean(env_id, ENVIRONMENTS)}: expected "
            f"one of {', '.join(sorted(ENVIRONMENTS))}."
        )
    make_it = ENVIRONMENTS[env_id]
    accepted = [name for name in inspect.signature(make_it).parameters if name != "num_envs"]
    for name in options:
        if name not in accepted:
            raise MissingKey(
                f"the tensor environment {env_id!r} has no argument {name!r}"
                f"{did_you_mean(name, accepted)}: expected one of {', '.join(accepted)}."
            )
    return make_it(num_envs, device=device, **options)
