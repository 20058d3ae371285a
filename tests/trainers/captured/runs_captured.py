"""Small runs of every algorithm, eager or captured."""

from __future__ import annotations

from typing import Any

from hookrl.configs import (
    DiscreteSACConfig,
    DQNConfig,
    NetworkConfig,
    PerceptronConfig,
    PPOConfig,
    ReplayConfig,
    SACConfig,
)
from hookrl.trainers import DiscreteSACTrainer, DQNTrainer, PPOTrainer, SACTrainer, Trainer

NETWORK = NetworkConfig(hidden_sizes=(8, 8))
PERCEPTRON = PerceptronConfig(hidden_sizes=(8, 8))


def replay(**settings: Any) -> ReplayConfig:
    return ReplayConfig(**{"capacity": 500, "batch_size": 16, "learning_starts": 50, **settings})


RUNS: dict[str, tuple[type[Trainer], type, dict[str, Any]]] = {
    "ppo": (
        PPOTrainer,
        PPOConfig,
        {"num_envs": 2, "steps_per_env": 40, "total_frames": 320, "network": NETWORK},
    ),
    "ppo, clipped values, KL, scaled rewards": (
        PPOTrainer,
        PPOConfig,
        {
            "env": "Pendulum-v1",
            "num_envs": 2,
            "steps_per_env": 40,
            "total_frames": 320,
            "network": NETWORK,
            "clip_value": 0.2,
            "target_kl": 0.02,
            "recompute_advantages": True,
            "normalize_reward": True,
        },
    ),
    "ppo, minibatches of any length": (
        PPOTrainer,
        PPOConfig,
        {
            "vectorization_mode": "vector_entry_point",  # which spends frames on resets
            "num_envs": 2,
            "steps_per_env": 61,
            "total_frames": 480,
            "network": NETWORK,
        },
    ),
    "dqn": (
        DQNTrainer,
        DQNConfig,
        {"total_frames": 700, "replay": replay(), "network": PERCEPTRON},
    ),
    "dqn, returns of several steps": (
        DQNTrainer,
        DQNConfig,
        {
            # Side tables of the buffer grow while the graph is there.
            "total_frames": 700,
            "train_frequency": 2,
            "num_envs": 2,
            "replay": replay(n_step=3),
            "network": PERCEPTRON,
        },
    ),
    "dqn, prioritized": (
        DQNTrainer,
        DQNConfig,
        {
            "total_frames": 700,
            "replay": replay(prioritized=True, n_step=3),
            "network": PERCEPTRON,
            "double": True,
            "tau": 0.5,
            "target_interval": 3,
        },
    ),
    "sac": (
        SACTrainer,
        SACConfig,
        {"env": "Pendulum-v1", "total_frames": 110, "replay": replay(), "network": PERCEPTRON},
    ),
    "discrete sac": (
        DiscreteSACTrainer,
        DiscreteSACConfig,
        {"total_frames": 300, "replay": replay(), "network": PERCEPTRON},
    ),
}


def build(name: str, **settings: Any) -> Any:
    trainer, config, options = RUNS[name]
    defaults = {"seed": 1, "progress_bar": False, "log_interval": 20}
    return trainer.from_config(config(**{**defaults, **options, **settings}))  # type: ignore[attr-defined]
