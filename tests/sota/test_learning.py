"""Every algorithm learns with every fast path on: rows cut as short as learning allows."""

import dataclasses
import warnings

import pytest

from hookrl.configs import DQNConfig, PerceptronConfig, ReplayConfig
from sota import ppo_cartpole_zoo, sac_pendulum
from sota.row import fast
from sota.sides import make_trainer

SMALL = PerceptronConfig(hidden_sizes=(64, 64), activation="relu")


def last_return(config):
    """Train by captured steps, and return the mean return of the last episodes."""
    config = dataclasses.replace(config, seed=0, progress_bar=False)
    trainer = make_trainer(config)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing falls back to eager steps
        trainer.train()
    assert trainer.step.captured
    return trainer.metrics.latest["episode/mean_reward"]


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point", "tensor"])
def test_ppo_balances_the_pole(mode):
    config = dataclasses.replace(
        fast(ppo_cartpole_zoo.ROW.hookrl),
        vectorization_mode=mode,
        total_frames=45_000,
        log_interval=5_000,
    )
    assert last_return(config) > 150  # random actions: 22


def test_dqn_balances_the_pole():
    config = DQNConfig(
        total_frames=20_000,
        train_frequency=4,
        gradient_steps=2,
        replay=ReplayConfig(capacity=20_000, batch_size=64, learning_starts=500),
        learning_rate=1e-3,
        target_interval=250,
        exploration_fraction=0.2,
        network=SMALL,
        log_interval=2_500,
    )
    assert last_return(fast(config)) > 100


def test_sac_swings_the_pendulum_up():
    config = dataclasses.replace(
        fast(sac_pendulum.ROW.hookrl), total_frames=6_000, network=SMALL, log_interval=2_000
    )
    assert last_return(config) > -350  # random actions: about -1,200
