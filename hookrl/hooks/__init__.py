"""The ten points, and everything that hangs on them."""

from hookrl.hooks.base import Latest, Mean, TrainerHookBase, TrainerLike, declares
from hookrl.hooks.count_frames import CountFramesLog
from hookrl.hooks.episodes import EpisodeStatistics
from hookrl.hooks.evaluation import LogValidationReward
from hookrl.hooks.explained_variance import ExplainedVariance
from hookrl.hooks.kl_stop import KLEarlyStop
from hookrl.hooks.learning_curve import LearningCurve
from hookrl.hooks.log_losses import LogLosses
from hookrl.hooks.log_scalar import LogScalar
from hookrl.hooks.minibatches import Minibatches
from hookrl.hooks.nan_guard import NaNGuard, NonFiniteLoss
from hookrl.hooks.optimizer import OptimizerHook
from hookrl.hooks.points import POINTS, HookPoint
from hookrl.hooks.progress import ProgressBar
from hookrl.hooks.registry import HookHandle, HookRegistry
from hookrl.hooks.reward_scaling import RewardScaling
from hookrl.hooks.save_weights import SaveWeights
from hookrl.hooks.schedule import LearningRateSchedule, linear_schedule
from hookrl.hooks.threads import TorchThreads, torch_threads
from hookrl.hooks.throughput import Throughput
from hookrl.hooks.values import ValueEstimation

__all__ = [
    "POINTS",
    "CountFramesLog",
    "EpisodeStatistics",
    "ExplainedVariance",
    "HookHandle",
    "HookPoint",
    "HookRegistry",
    "KLEarlyStop",
    "Latest",
    "LearningCurve",
    "LearningRateSchedule",
    "LogLosses",
    "LogScalar",
    "LogValidationReward",
    "Mean",
    "Minibatches",
    "NaNGuard",
    "NonFiniteLoss",
    "OptimizerHook",
    "ProgressBar",
    "RewardScaling",
    "SaveWeights",
    "Throughput",
    "TorchThreads",
    "TrainerHookBase",
    "TrainerLike",
    "ValueEstimation",
    "declares",
    "linear_schedule",
    "torch_threads",
]
