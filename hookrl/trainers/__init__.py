"""The loop, and the algorithms assembled on it."""

from hookrl.trainers.discrete_sac import DiscreteSACTrainer
from hookrl.trainers.dqn import DQNTrainer
from hookrl.trainers.ppo import PPOTrainer
from hookrl.trainers.sac import SACTrainer
from hookrl.trainers.trainer import Trainer

__all__ = ["DQNTrainer", "DiscreteSACTrainer", "PPOTrainer", "SACTrainer", "Trainer"]
