"""Everybody who can take part."""

import dataclasses
from typing import Any

from benchmarks.work import Side

_TORCH = ("torch", "numpy", "gymnasium")

HOOKRL = Side(
    name="hookrl",
    module="benchmarks.peers.hookrl_trainer",
    packages=(*_TORCH, "tensordict"),
    ours=True,
)
SB3 = Side(
    name="stable-baselines3",
    module="benchmarks.peers.sb3",
    packages=(*_TORCH, "stable-baselines3"),
)
CLEANRL_PPO = Side(name="cleanrl-style", module="benchmarks.peers.cleanrl_ppo", packages=_TORCH)
CLEANRL_DQN = Side(
    name="cleanrl-style",
    module="benchmarks.peers.cleanrl_dqn",
    packages=(*_TORCH, "stable-baselines3"),
)
CLEANRL_SAC = dataclasses.replace(CLEANRL_DQN, module="benchmarks.peers.cleanrl_sac")
TIANSHOU_PPO = Side(
    name="tianshou", module="benchmarks.peers.tianshou_ppo", packages=(*_TORCH, "tianshou")
)
TORCHRL_PPO = Side(
    name="torchrl",
    module="benchmarks.peers.torchrl_ppo",
    packages=(*_TORCH, "tensordict", "torchrl"),
)
TORCHRL_DQN = dataclasses.replace(TORCHRL_PPO, module="benchmarks.peers.torchrl_dqn")
RSL_RL = Side(
    name="rsl-rl",
    module="benchmarks.peers.rsl_rl_ppo",
    packages=(*_TORCH, "tensordict", "rsl-rl-lib"),
)
JAX = Side(name="jax-scan", module="benchmarks.peers.jax_ppo", packages=("numpy", "jax", "jaxlib"))


def with_changes(side: Side, name: str, **changes: Any) -> Side:
    """Return a side under another name, with fields of the config that are others."""
    return dataclasses.replace(side, name=name, changes={**side.changes, **changes})


def with_mujoco(*sides: Side) -> tuple[Side, ...]:
    """Return sides that need the simulator as well."""
    return tuple(dataclasses.replace(s, packages=(*s.packages, "mujoco")) for s in sides)


CAPTURED = with_changes(HOOKRL, "hookrl-captured", compile=True)
