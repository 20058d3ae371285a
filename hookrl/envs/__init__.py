"""Environments: making them, and their spaces."""

from hookrl.envs.spaces import Leaf, leaves
from hookrl.envs.vector import EnvLike, MissingDependency, make_env, make_vector_env

__all__ = ["EnvLike", "Leaf", "MissingDependency", "leaves", "make_env", "make_vector_env"]
