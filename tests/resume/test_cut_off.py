"""A run that is resumed with new episodes does not count the old ones into them."""

from __future__ import annotations

from typing import Any

from hookrl.configs import CheckpointConfig, PPOConfig
from hookrl.trainers import PPOTrainer

LENGTH = 200
"""Of every episode of the pendulum."""


def build(frames: int) -> Any:
    return PPOTrainer.from_config(
        PPOConfig(
            env="Pendulum-v1",
            num_envs=1,
            steps_per_env=80,
            total_frames=frames,
            normalize_reward=True,
            log_interval=80,
            seed=1,
            progress_bar=False,
            checkpoint=CheckpointConfig(exact_resume="off"),
        )
    )


def test_the_first_episode_of_a_resumed_run_is_as_long_as_any() -> None:
    first = build(80)
    first.train()
    resumed = build(320)
    resumed.load_state_dict(first.state_dict())
    resumed.train()
    assert resumed.metrics.latest["episode/mean_length"] == LENGTH
