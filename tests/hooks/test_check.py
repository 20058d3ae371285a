"""Every hook of hookrl passes `check_hook`, and hooks of torchrl can be checked too."""

from types import SimpleNamespace

import pytest
import torch
from gymnasium import spaces
from hooks.sound import check_passes
from torchrl import trainers as torchrl_hooks
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import GymEnv

from hookrl import hooks
from hookrl.hooks import TrainerHookBase
from hookrl.models import ActorCritic
from hookrl.objectives import GAE
from hookrl.replay import PrioritizedSampler, ReplayBuffer
from hookrl.testing import TinyLoss, tiny_batch, tiny_trainer

NETWORK = ActorCritic.from_spaces(
    spaces.Box(-1.0, 1.0, (3,)), spaces.Discrete(2), hidden_sizes=(4,)
)


def batch_with(*keys):
    batch = tiny_batch()
    for key in keys:
        batch[key] = torch.linspace(-1.0, 1.0, 8).view(2, 4, 1)
    return batch


def sgd(trainer):
    return torch.optim.SGD(trainer.loss_module.parameters(), lr=0.1, momentum=0.9)


def in_a_bare_trainer():
    return {"trainer": lambda: tiny_trainer(optimizer=None, total_frames=10**6)}


def value_estimation():
    return hooks.ValueEstimation(NETWORK, GAE(0.9, 0.9), recompute_every=1)


class Weights:
    """What `UpdateWeights` sends to."""

    def update_policy_weights_(self, *weights): ...


class CountingUpdater:
    """Counts, as torchrl's `HardUpdate` does."""

    def __init__(self):
        self.counter = 0

    def step(self):
        self.counter += 1

    def state_dict(self):
        return {"counter": self.counter}

    def load_state_dict(self, state_dict):
        self.counter = state_dict["counter"]


def torchrl_buffer():
    return TensorDictReplayBuffer(storage=LazyTensorStorage(50), batch_size=4)


def accumulating(trainer):
    return hooks.GradientAccumulation(hooks.OptimizerHook(sgd(trainer), ["loss_value"]), 2)


# How to check the hooks that need arguments; one without any needs no line here.
CASES = {
    hooks.BatchSubSampler: lambda path: (lambda: hooks.BatchSubSampler(6, 3), {}),
    hooks.BufferSize: lambda path: (lambda: hooks.BufferSize(range(7)), {}),
    hooks.ClearCudaCache: lambda path: (lambda: hooks.ClearCudaCache(2), {}),
    hooks.EarlyStopping: lambda path: (lambda: hooks.EarlyStopping("x", threshold=1.0), {}),
    hooks.EpsilonGreedySchedule: lambda path: (
        lambda: hooks.EpsilonGreedySchedule(
            SimpleNamespace(epsilon=1.0), hooks.linear_schedule(1.0, 0.0, 40)
        ),
        {},
    ),
    hooks.ExponentialMovingAverage: lambda path: (
        lambda trainer: hooks.ExponentialMovingAverage(trainer.loss_module, 0.9),
        {},
    ),
    hooks.GradientAccumulation: lambda path: (accumulating, in_a_bare_trainer()),
    hooks.ParameterStatistics: lambda path: (
        lambda trainer: hooks.ParameterStatistics(trainer.loss_module, 8),
        {},
    ),
    hooks.ReplayBufferTrainer: lambda path: (
        lambda: hooks.ReplayBufferTrainer(torchrl_buffer()),
        {},
    ),
    hooks.ScaledOptimizerHook: lambda path: (
        lambda trainer: hooks.ScaledOptimizerHook(sgd(trainer), ["loss_value"]),
        in_a_bare_trainer(),
    ),
    hooks.SelectKeys: lambda path: (lambda: hooks.SelectKeys(["observation", "next"]), {}),
    hooks.TargetNetUpdaterHook: lambda path: (
        lambda: hooks.TargetNetUpdaterHook(CountingUpdater()),
        {},
    ),
    hooks.TargetUpdate: lambda path: (
        lambda trainer: hooks.TargetUpdate(trainer.loss_module, TinyLoss(), tau=0.5),
        {},
    ),
    hooks.TrainFrequency: lambda path: (lambda: hooks.TrainFrequency(20), {}),
    hooks.UpdateWeights: lambda path: (lambda: hooks.UpdateWeights(Weights(), 2), {}),
    hooks.WarmUp: lambda path: (lambda: hooks.WarmUp(20), {}),
    hooks.ExplainedVariance: lambda path: (
        hooks.ExplainedVariance,
        {"batch": batch_with("state_value", "value_target")},
    ),
    hooks.KLEarlyStop: lambda path: (lambda: hooks.KLEarlyStop(0.7, 1), {}),
    hooks.LearningCurve: lambda path: (
        lambda: hooks.LearningCurve(path / "metrics.csv", path / "curve.png"),
        {},
    ),
    hooks.LearningRateSchedule: lambda path: (
        lambda trainer: hooks.LearningRateSchedule(
            trainer.optimizer, hooks.linear_schedule(1.0, 0.0, 40)
        ),
        {},
    ),
    hooks.LogValidationReward: lambda path: (
        lambda: hooks.LogValidationReward(
            policy_exploration=lambda td: td.set("action", torch.zeros(td.batch_size).long()),
            environment="CartPole-v1",
            record_interval=24,
            episodes=1,
        ),
        {},
    ),
    hooks.Minibatches: lambda path: (lambda: hooks.Minibatches(2, epochs=3), {}),
    hooks.OptimizerHook: lambda path: (
        lambda trainer: hooks.OptimizerHook(sgd(trainer), ["loss_value"]),
        in_a_bare_trainer(),
    ),
    hooks.RewardScaling: lambda path: (lambda: hooks.RewardScaling(0.9), {}),
    hooks.SaveWeights: lambda path: (
        lambda: hooks.SaveWeights(path / "w.pt", {"net": NETWORK}),
        {},
    ),
    hooks.TorchThreads: lambda path: (lambda: hooks.TorchThreads(1), {}),
    hooks.FlushDenormals: lambda path: (hooks.FlushDenormals, {}),
    hooks.KeepFreedMemory: lambda path: (hooks.KeepFreedMemory, {}),
    hooks.MatmulPrecision: lambda path: (lambda: hooks.MatmulPrecision("medium"), {}),
    hooks.ValueEstimation: lambda path: (value_estimation, {}),
}


def exported_hooks():
    kinds = [getattr(hooks, name) for name in hooks.__all__]
    return [
        kind
        for kind in kinds
        if isinstance(kind, type)
        and issubclass(kind, TrainerHookBase)
        and kind is not TrainerHookBase
    ]


@pytest.mark.parametrize("kind", exported_hooks(), ids=lambda kind: kind.__name__)
def test_every_hook_of_hookrl_passes(kind, tmp_path):
    factory, options = CASES.get(kind, lambda path: (kind, {}))(tmp_path)
    check_passes(factory, **options)


class LossWithErrors(TinyLoss):
    def forward(self, tensordict):
        losses = super().forward(tensordict)
        tensordict["td_error"] = tensordict["next", "reward"].squeeze(-1) * self.weight.detach()
        return losses


def prioritized():
    sampler = PrioritizedSampler()
    return hooks.ReplayBufferTrainer(ReplayBuffer(20, batch_size=4, n_step=2, sampler=sampler))


def on_an_environment_of_torchrl():
    return hooks.LogValidationReward(
        policy_exploration=None,
        environment=GymEnv("CartPole-v1"),
        record_interval=24,
        record_frames=5,
    )


def with_a_buffer():
    trainer = tiny_trainer(total_frames=10**6)
    trainer.replay_buffer = range(7)
    return trainer


# Hooks that are another thing with other arguments.
VARIANTS = {
    "prioritized replay": (
        prioritized,
        {"trainer": lambda: tiny_trainer(loss_module=LossWithErrors(), total_frames=10**6)},
    ),
    "evaluation on an environment of torchrl": (on_an_environment_of_torchrl, {}),
    "weights sent by optimization steps": (
        lambda: hooks.UpdateWeights(Weights(), 3, interval_unit="optim_steps"),
        {},
    ),
    "the trainer's buffer": (hooks.BufferSize, {"trainer": with_a_buffer}),
    "a target moved every so many frames": (
        lambda trainer: hooks.TargetUpdate(trainer.loss_module, TinyLoss(), every_frames=20),
        {},
    ),
}


@pytest.mark.parametrize(("factory", "options"), VARIANTS.values(), ids=VARIANTS)
def test_a_hook_passes_with_other_arguments_too(factory, options):
    check_passes(factory, **options)


@pytest.mark.parametrize(
    "factory",
    [
        lambda: torchrl_hooks.LogScalar(),
        lambda: torchrl_hooks.SelectKeys(["observation", "action"]),
        lambda: torchrl_hooks.ClearCudaCache(2),
        lambda: torchrl_hooks.CountFramesLog(1),
        lambda: torchrl_hooks.BatchSubSampler(4),
        lambda: torchrl_hooks.RewardNormalizer(),
    ],
    ids=[
        "LogScalar",
        "SelectKeys",
        "ClearCudaCache",
        "CountFramesLog",
        "BatchSubSampler",
        "RewardNormalizer",
    ],
)
def test_hooks_of_torchrl_can_be_checked_too(factory):
    check_passes(factory)
