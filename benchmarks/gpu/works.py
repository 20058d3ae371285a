"""What is measured on a GPU, and in which ways a step may be carried out there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from hookrl.configs import DQNConfig, PPOConfig, ReplayConfig, RunConfig, SACConfig

EAGER, COMPILED, CUDA_GRAPHS = MODES = ("eager", "compiled", "CUDA graphs")
"""Operation by operation; by compiled graphs whose kernels are launched one by one; by the same
graphs, each recorded and launched as a whole."""
WARM_UP = 8
"""Batches ahead of the clock, in which graphs are made, and run as usual before being recorded."""


@dataclass(frozen=True, kw_only=True)
class GPUWork:
    """A training, or the update of one."""

    title: str
    """What it is, in a few words."""
    config: RunConfig
    """Its settings."""
    updates: bool = False
    """Whether updates are timed alone, without collecting."""

    def config_on(self, device: str, mode: str, *, envs: int | None, seed: int) -> RunConfig:
        """Return the settings for a device and a mode.

        Args:
            device: as torch calls it.
            mode: one of `MODES`.
            envs: environments of a training; None: as many as the work has.
            seed: of the run.
        """
        count = envs if envs is not None and not self.updates else self.config.num_envs
        return dataclasses.replace(
            self.config, device=device, compile=mode != EAGER, num_envs=count, seed=seed
        )


def _ppo(env: str, learning_rate: float) -> PPOConfig:
    return PPOConfig(
        env=env,
        vectorization_mode="tensor",
        num_envs=4096,
        steps_per_env=32,
        learning_rate=learning_rate,
        anneal_learning_rate=False,
        clip_value=None,
        progress_bar=False,
    )


_ENVIRONMENTS: dict[str, Any] = {
    "vectorization_mode": "tensor",
    "num_envs": 64,
    "train_frequency": 64,
}
_REPLAY: dict[str, Any] = {"capacity": 100_000, "learning_starts": 6_400}

WORKS: dict[str, GPUWork] = {
    "ppo_cartpole": GPUWork(
        title="PPO on CartPole as tensors: 4,096 environments × 32 steps, 4 epochs × 4 "
        "minibatches, 64×64 tanh",
        config=_ppo("CartPole-v1", 1e-3),
    ),
    "ppo_pendulum": GPUWork(
        title="PPO on Pendulum as tensors: the same",
        config=_ppo("Pendulum-v1", 1e-3),
    ),
    "dqn_update": GPUWork(
        title="The update of DQN: a sample of 128 transitions of CartPole, 120×84 relu",
        config=DQNConfig(
            env="CartPole-v1",
            replay=ReplayConfig(batch_size=128, **_REPLAY),
            progress_bar=False,
            **_ENVIRONMENTS,
        ),
        updates=True,
    ),
    "sac_update": GPUWork(
        title="The update of SAC: a sample of 256 transitions of Pendulum, 256×256 relu",
        config=SACConfig(
            env="Pendulum-v1",
            replay=ReplayConfig(batch_size=256, **_REPLAY),
            progress_bar=False,
            **_ENVIRONMENTS,
        ),
        updates=True,
    ),
}
