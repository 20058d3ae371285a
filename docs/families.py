"""The families of hooks, a page each, with an example of every hook that the tables look at.

Numbers that are cadences are given as `EVERY`, `FRAMES` or `INTERVAL`, by which the tables find out
which argument a cadence comes from; no other argument has these values.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from gymnasium import spaces

from hookrl import hooks
from hookrl.hooks import TrainerHookBase
from hookrl.models import ActorCritic
from hookrl.objectives import GAE
from hookrl.replay import PrioritizedSampler, ReplayBuffer
from hookrl.trainers import Trainer

EVERY, FRAMES, INTERVAL = 1009, 20_011, 3001

NETWORK = ActorCritic.from_spaces(spaces.Box(-1.0, 1.0, (3,)), spaces.Discrete(2))


class Example(NamedTuple):
    """How a hook is made for the tables."""

    make: Callable[[Trainer], TrainerHookBase]
    """From a trainer without an optimizer to the hook."""
    register: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    """Further arguments of its ``register``."""


class Family(NamedTuple):
    """Hooks that are explained on one page."""

    title: str
    hooks: dict[type[TrainerHookBase], Example]


def _sgd(trainer: Trainer) -> torch.optim.Optimizer:
    return torch.optim.SGD(trainer.loss_module.parameters(), lr=0.1)


FAMILIES: dict[str, Family] = {
    "learning_step": Family(
        "The learning step",
        {
            hooks.OptimizerHook: Example(lambda t: hooks.OptimizerHook(_sgd(t))),
            hooks.NaNGuard: Example(lambda t: hooks.NaNGuard(), {"every": EVERY}),
            hooks.LearningRateSchedule: Example(
                lambda t: hooks.LearningRateSchedule(_sgd(t), hooks.linear_schedule(1.0, 0.0, 9))
            ),
            hooks.GradientAccumulation: Example(
                lambda t: hooks.GradientAccumulation(hooks.OptimizerHook(_sgd(t)), EVERY)
            ),
            hooks.ScaledOptimizerHook: Example(lambda t: hooks.ScaledOptimizerHook(_sgd(t))),
            hooks.ExponentialMovingAverage: Example(
                lambda t: hooks.ExponentialMovingAverage(t.loss_module, every=EVERY)
            ),
        },
    ),
    "on_policy": Family(
        "On-policy learning",
        {
            hooks.RewardScaling: Example(lambda t: hooks.RewardScaling(0.99)),
            hooks.ValueEstimation: Example(
                lambda t: hooks.ValueEstimation(NETWORK, GAE(0.99, 0.95), recompute_every=4)
            ),
            hooks.Minibatches: Example(lambda t: hooks.Minibatches(4, 4)),
            hooks.KLEarlyStop: Example(lambda t: hooks.KLEarlyStop(0.02, 4)),
            hooks.ExplainedVariance: Example(lambda t: hooks.ExplainedVariance()),
        },
    ),
    "replay": Family(
        "Replay and off-policy learning",
        {
            hooks.ReplayBufferTrainer: Example(
                lambda t: hooks.ReplayBufferTrainer(
                    ReplayBuffer(100, batch_size=4, sampler=PrioritizedSampler())
                )
            ),
            hooks.WarmUp: Example(lambda t: hooks.WarmUp(100)),
            hooks.TrainFrequency: Example(lambda t: hooks.TrainFrequency(100)),
            hooks.TargetUpdate: Example(
                lambda t: hooks.TargetUpdate(
                    t.loss_module, copy.deepcopy(t.loss_module), every=EVERY, every_frames=FRAMES
                )
            ),
            hooks.TargetNetUpdaterHook: Example(
                lambda t: hooks.TargetNetUpdaterHook(SimpleNamespace(step=lambda: None))
            ),
            hooks.EpsilonGreedySchedule: Example(
                lambda t: hooks.EpsilonGreedySchedule(
                    SimpleNamespace(epsilon=1.0), hooks.linear_schedule(1.0, 0.0, 9)
                )
            ),
            hooks.BufferSize: Example(lambda t: hooks.BufferSize(range(7))),
            hooks.UTDRHook: Example(hooks.UTDRHook),
        },
    ),
    "batches": Family(
        "Batches",
        {
            hooks.SelectKeys: Example(lambda t: hooks.SelectKeys(["observation", "action"])),
            hooks.BatchSubSampler: Example(lambda t: hooks.BatchSubSampler(6, 3)),
            hooks.RewardNormalizer: Example(lambda t: hooks.RewardNormalizer()),
        },
    ),
    "logging": Family(
        "Logging and statistics",
        {
            hooks.EpisodeStatistics: Example(lambda t: hooks.EpisodeStatistics()),
            hooks.LogScalar: Example(lambda t: hooks.LogScalar()),
            hooks.LogLosses: Example(lambda t: hooks.LogLosses()),
            hooks.CountFramesLog: Example(lambda t: hooks.CountFramesLog()),
            hooks.ParameterStatistics: Example(
                lambda t: hooks.ParameterStatistics(t.loss_module, INTERVAL)
            ),
            hooks.Throughput: Example(lambda t: hooks.Throughput()),
            hooks.HookTiming: Example(lambda t: hooks.HookTiming()),
            hooks.ProgressBar: Example(lambda t: hooks.ProgressBar()),
        },
    ),
    "evaluation": Family(
        "Evaluation, stopping and results",
        {
            hooks.LogValidationReward: Example(
                lambda t: hooks.LogValidationReward(
                    policy_exploration=None, environment="CartPole-v1", record_interval=INTERVAL
                )
            ),
            hooks.EarlyStopping: Example(
                lambda t: hooks.EarlyStopping("eval/mean_reward", threshold=475)
            ),
            hooks.SaveWeights: Example(
                lambda t: hooks.SaveWeights("weights.pt", {"policy": t.loss_module})
            ),
            hooks.LearningCurve: Example(
                lambda t: hooks.LearningCurve("metrics.csv", "learning_curve.png")
            ),
        },
    ),
    "running": Family(
        "Running",
        {
            hooks.TorchThreads: Example(lambda t: hooks.TorchThreads(1)),
            hooks.FlushDenormals: Example(lambda t: hooks.FlushDenormals()),
            hooks.KeepFreedMemory: Example(lambda t: hooks.KeepFreedMemory()),
            hooks.MatmulPrecision: Example(lambda t: hooks.MatmulPrecision("high")),
            hooks.ClearCudaCache: Example(lambda t: hooks.ClearCudaCache(INTERVAL)),
            hooks.UpdateWeights: Example(
                lambda t: hooks.UpdateWeights(
                    SimpleNamespace(update_policy_weights_=lambda: None), INTERVAL
                )
            ),
        },
    ),
}


def exported_hooks() -> set[type[TrainerHookBase]]:
    """Every hook class that `hookrl.hooks` exports."""
    exported = [getattr(hooks, name) for name in hooks.__all__]
    classes = {kind for kind in exported if isinstance(kind, type)}
    return {kind for kind in classes if issubclass(kind, TrainerHookBase)} - {TrainerHookBase}
