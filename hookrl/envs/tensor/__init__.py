"""Batched environments that live on a torch device, and whose steps are tensor code.

A step waits for no device and draws no random numbers of its own, so that many steps, the policy
between them and the resets of what ended can be captured as one graph.
"""

from hookrl.envs.tensor.acrobot import Acrobot
from hookrl.envs.tensor.base import State, TensorEnv, Transition
from hookrl.envs.tensor.cart_pole import CartPole
from hookrl.envs.tensor.mountain_car import MountainCar
from hookrl.envs.tensor.names import ENVIRONMENTS, make
from hookrl.envs.tensor.pendulum import Pendulum

__all__ = [
    "ENVIRONMENTS",
    "Acrobot",
    "CartPole",
    "MountainCar",
    "Pendulum",
    "State",
    "TensorEnv",
    "Transition",
    "make",
]
