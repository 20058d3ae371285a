"""The ten points, and everything that hangs on them."""

from hookrl.hooks.averaging import ExponentialMovingAverage
from hookrl.hooks.base import Latest, Mean, TrainerHookBase, TrainerLike, declares
from hookrl.hooks.buffer_size import BufferSize
from hookrl.hooks.check import HookCheckError, check_hook
from hookrl.hooks.clear_cuda_cache import ClearCudaCache
from hookrl.hooks.count_frames import CountFramesLog
from hookrl.hooks.denormals import FlushDenormals
from hookrl.hooks.early_stopping import EarlyStopping
from hookrl.hooks.episodes import EpisodeStatistics
from hookrl.hooks.epsilon_greedy import EpsilonGreedySchedule
from hookrl.hooks.evaluation import LogValidationReward
from hookrl.hooks.explained_variance import ExplainedVariance
from hookrl.hooks.freed_memory import KeepFreedMemory
from hookrl.hooks.gradient_accumulation import GradientAccumulation
from hookrl.hooks.hook_timing import HookTiming
from hookrl.hooks.kl_stop import KLEarlyStop
from hookrl.hooks.learning_curve import LearningCurve
from hookrl.hooks.log_losses import LogLosses
from hookrl.hooks.log_scalar import LogScalar
from hookrl.hooks.matmul_precision import MatmulPrecision, matmul_precision
from hookrl.hooks.minibatches import Minibatches
from hookrl.hooks.mixed_precision import MixedPrecision, ScaledOptimizerHook
from hookrl.hooks.nan_guard import NaNGuard, NonFiniteLoss
from hookrl.hooks.optimizer import OptimizerHook
from hookrl.hooks.pace import paced
from hookrl.hooks.parameter_statistics import ParameterStatistics
from hookrl.hooks.points import POINTS, HookPoint
from hookrl.hooks.progress import ProgressBar
from hookrl.hooks.registry import HookHandle, HookRegistry
from hookrl.hooks.replay_buffer import ReplayBufferTrainer
from hookrl.hooks.reward_normalizer import RewardNormalizer
from hookrl.hooks.reward_scaling import RewardScaling
from hookrl.hooks.save_weights import SaveWeights
from hookrl.hooks.schedule import LearningRateSchedule, linear_schedule
from hookrl.hooks.select_keys import SelectKeys
from hookrl.hooks.sub_sampler import BatchSubSampler
from hookrl.hooks.target_update import TargetNetUpdaterHook, TargetUpdate
from hookrl.hooks.threads import TorchThreads, torch_threads
from hookrl.hooks.throughput import Throughput
from hookrl.hooks.update_weights import UpdateWeights
from hookrl.hooks.utd_ratio import UTDRHook
from hookrl.hooks.values import ValueEstimation
from hookrl.hooks.warm_up import TrainFrequency, WarmUp

__all__ = [
    "POINTS",
    "BatchSubSampler",
    "BufferSize",
    "ClearCudaCache",
    "CountFramesLog",
    "EarlyStopping",
    "EpisodeStatistics",
    "EpsilonGreedySchedule",
    "ExplainedVariance",
    "ExponentialMovingAverage",
    "FlushDenormals",
    "GradientAccumulation",
    "HookCheckError",
    "HookHandle",
    "HookPoint",
    "HookRegistry",
    "HookTiming",
    "KLEarlyStop",
    "KeepFreedMemory",
    "Latest",
    "LearningCurve",
    "LearningRateSchedule",
    "LogLosses",
    "LogScalar",
    "LogValidationReward",
    "MatmulPrecision",
    "Mean",
    "Minibatches",
    "MixedPrecision",
    "NaNGuard",
    "NonFiniteLoss",
    "OptimizerHook",
    "ParameterStatistics",
    "ProgressBar",
    "ReplayBufferTrainer",
    "RewardNormalizer",
    "RewardScaling",
    "SaveWeights",
    "ScaledOptimizerHook",
    "SelectKeys",
    "TargetNetUpdaterHook",
    "TargetUpdate",
    "Throughput",
    "TorchThreads",
    "TrainFrequency",
    "TrainerHookBase",
    "TrainerLike",
    "UTDRHook",
    "UpdateWeights",
    "ValueEstimation",
    "WarmUp",
    "check_hook",
    "declares",
    "linear_schedule",
    "matmul_precision",
    "paced",
    "torch_threads",
]
