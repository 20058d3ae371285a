"""Every algorithm learns with every fast path on.

Runs as short as learning allows; the returns of whole ones, on ten seeds, are made by ``sota``.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from hookrl.configs import DQNConfig, PerceptronConfig, PPOConfig, ReplayConfig, SACConfig
from hookrl.trainers import DQNTrainer, PPOTrainer, SACTrainer

FAST = {"compile": True, "seed": 0, "progress_bar": False}


def last_return(trainer: Any) -> float:
    """Train, and return the mean return of the last episodes before the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing falls back to eager steps
        trainer.train()
    assert trainer.step.captured
    mean: float = trainer.metrics.latest["episode/mean_reward"]
    return mean


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point", "tensor"])
def test_ppo_balances_the_pole(mode: str) -> None:
    config = PPOConfig(
        vectorization_mode=mode,
        total_frames=45_000,
        num_envs=8,
        steps_per_env=32,
        epochs=20,
        minibatches=1,
        gamma=0.98,
        gae_lambda=0.8,
        learning_rate=1e-3,
        entropy_coeff=0.0,
        clip_value=None,
        log_interval=5_000,
        **FAST,
    )
    assert last_return(PPOTrainer.from_config(config)) > 150  # random actions: 22


def test_dqn_balances_the_pole() -> None:
    config = DQNConfig(
        total_frames=20_000,
        train_frequency=4,
        gradient_steps=2,
        replay=ReplayConfig(capacity=20_000, batch_size=64, learning_starts=500),
        learning_rate=1e-3,
        target_interval=250,
        exploration_fraction=0.2,
        network=PerceptronConfig(hidden_sizes=(64, 64), activation="relu"),
        log_interval=2_500,
        **FAST,
    )
    assert last_return(DQNTrainer.from_config(config)) > 100


def test_sac_swings_the_pendulum_up() -> None:
    config = SACConfig(
        env="Pendulum-v1",
        total_frames=6_000,
        replay=ReplayConfig(capacity=6_000, batch_size=128, learning_starts=500),
        learning_rate=2e-3,
        network=PerceptronConfig(hidden_sizes=(64, 64), activation="relu"),
        log_interval=2_000,
        **FAST,
    )
    assert last_return(SACTrainer.from_config(config)) > -350  # random actions: about -1,200
