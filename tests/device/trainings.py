"""Trains a little on the pretended device, and prints what it came to as JSON: ``NAME``."""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pretend
import torch

from hookrl.configs import DQNConfig, PPOConfig, ReplayConfig, RunConfig, SACConfig
from hookrl.trainers import DQNTrainer, PPOTrainer, SACTrainer

COMMON: dict[str, Any] = {
    "vectorization_mode": "tensor",
    "num_envs": 8,
    "progress_bar": False,
    "log_interval": 64,
    "total_frames": 256,
}
REPLAY = ReplayConfig(capacity=300, batch_size=16, learning_starts=64)
PRIORITIZED = ReplayConfig(
    capacity=300, batch_size=16, learning_starts=64, prioritized=True, n_step=3
)
FREQUENCY = {"train_frequency": 32, "gradient_steps": 2}
TRAININGS: dict[str, tuple[Any, RunConfig]] = {
    "ppo": (PPOTrainer, PPOConfig(env="CartPole-v1", steps_per_env=16, **COMMON)),
    "ppo_box": (
        PPOTrainer,
        PPOConfig(
            env="Pendulum-v1",
            steps_per_env=16,
            target_kl=0.5,
            normalize_reward=True,
            recompute_advantages=True,
            **COMMON,
        ),
    ),
    "ppo_sync": (
        PPOTrainer,
        PPOConfig(env="CartPole-v1", steps_per_env=16, **{**COMMON, "vectorization_mode": "sync"}),
    ),
    "dqn": (DQNTrainer, DQNConfig(env="CartPole-v1", replay=REPLAY, **FREQUENCY, **COMMON)),
    "dqn_prioritized": (
        DQNTrainer,
        DQNConfig(env="CartPole-v1", replay=PRIORITIZED, double=True, **FREQUENCY, **COMMON),
    ),
    "sac": (SACTrainer, SACConfig(env="Pendulum-v1", replay=REPLAY, **FREQUENCY, **COMMON)),
}


def train(name: str, device: str, file: Path, resume: bool) -> tuple[Any, dict[str, int]]:
    """Return a trainer that trained, to begin with or after loading, and what waited meanwhile."""
    kind, config = TRAININGS[name]
    config.device = device
    trainer = kind.from_config(config)
    if resume:
        trainer.load_from_file(file)
        trainer.total_frames *= 2
    pretend.WAITS.clear()
    trainer.train()
    waits = {" of ".join(key): count for key, count in pretend.WAITS.items()}
    if not resume:
        trainer.save_trainer_file = file
        trainer.save_trainer(force_save=True)
        trainer.finish_saving()
    return trainer, waits


def weights(trainer: Any) -> torch.Tensor:
    """All parameters, on the host."""
    return torch.cat([p.detach().cpu().flatten() for p in trainer.loss_module.parameters()])


def main(name: str) -> None:
    """Train on both devices, save and go on, and print how far the results are apart."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        files = {device: Path(folder, f"{device}.pt") for device in ("cpu", pretend.NAME)}
        apart, waits, steps = [], {}, []
        for resume in (False, True):
            reference, _ = train(name, "cpu", files["cpu"], resume)
            trainer, waits = train(name, pretend.NAME, files[pretend.NAME], resume)
            apart.append(float((weights(reference) - weights(trainer)).abs().max()))
            steps.append(trainer.optim_steps)
    print(json.dumps({"apart": apart, "waits": waits, "steps": steps}))


if __name__ == "__main__":
    main(sys.argv[1])
