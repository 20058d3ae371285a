"""The loop, and the algorithms assembled on it."""

from hookrl.trainers.ppo import PPOTrainer
from hookrl.trainers.trainer import Trainer

__all__ = ["PPOTrainer", "Trainer"]
