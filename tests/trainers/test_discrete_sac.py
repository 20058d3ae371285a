"""SAC for discrete actions learns, and for the reasons it is meant to."""

import math

import pytest

from hookrl.configs import DiscreteSACConfig, PerceptronConfig, ReplayConfig
from hookrl.loggers import read_metrics
from hookrl.trainers import DiscreteSACTrainer


def train(run_dir, **settings):
    """Train and return the metrics."""
    config = DiscreteSACConfig(progress_bar=False, run_dir=str(run_dir), **settings)
    DiscreteSACTrainer.from_config(config).train()
    return read_metrics(run_dir / "metrics.csv")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Metrics of a run that is as short as learning allows; the last row covers 1,000 frames."""
    return train(
        tmp_path_factory.mktemp("runs") / "cartpole",
        env="CartPole-v1",
        total_frames=5000,
        num_envs=4,
        gradient_steps=2,
        replay=ReplayConfig(capacity=5000, batch_size=64, learning_starts=500),
        target_interval=1,
        tau=0.02,
        learning_rate=1e-3,
        target_entropy_scale=0.3,
        network=PerceptronConfig(hidden_sizes=(64, 64), activation="relu"),
        log_interval=1000,
    )


def test_it_learns_to_balance_the_pole(learned):
    # Random actions last 22 steps; a policy that wants the opposite, 9.
    assert learned["episode/mean_reward"][-1] > 100


def test_the_temperature_holds_the_entropy_at_its_target(learned):
    assert 0.2 < learned["train/entropy"][-1] / math.log(2) < 0.45
    assert 0.1 < learned["train/alpha"][-1] < 1.0


def test_values_count_the_entropy_that_is_to_come(tmp_path):
    # Only the goal of the lake brings a reward, and random actions all but never get there.
    metrics = train(
        tmp_path / "lake",
        env="FrozenLake-v1",
        total_frames=400,
        replay=ReplayConfig(capacity=400, batch_size=32, learning_starts=100),
        alpha=1.0,
        learn_alpha=False,
        log_interval=100,
    )
    assert metrics["train/mean_q"][-1] > 0.5
