"""What every hook of hookrl promises, checked for all of them."""

from types import SimpleNamespace

import pytest
import torch
from gymnasium import spaces
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from toys import QuadraticLoss, make_batch, make_trainer

from hookrl import hooks
from hookrl.checkpoints import decode, encode
from hookrl.errors import MissingKey
from hookrl.models import ActorCritic
from hookrl.objectives import GAE

pytestmark = pytest.mark.filterwarnings("ignore:no row of metrics had 'x'")

SPACE, ACTIONS = spaces.Box(-1.0, 1.0, (3,)), spaces.Discrete(2)
KEYS = ["observation", "action", "next"]
OPTIMIZERS = (hooks.OptimizerHook, hooks.ScaledOptimizerHook, hooks.GradientAccumulation)
NETWORK = ActorCritic.from_spaces(SPACE, ACTIONS, hidden_sizes=(4,))


def adam():
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    return torch.optim.Adam([parameter])


class CountingUpdater:
    """Counts, as torchrl's `HardUpdate` does."""

    counter = 0

    def step(self):
        self.counter += 1

    def state_dict(self):
        return {"counter": self.counter}

    def load_state_dict(self, state_dict):
        self.counter = state_dict["counter"]


FACTORIES = {
    hooks.CountFramesLog: lambda tmp_path: hooks.CountFramesLog(2),
    hooks.EpisodeStatistics: lambda tmp_path: hooks.EpisodeStatistics(),
    hooks.ExplainedVariance: lambda tmp_path: hooks.ExplainedVariance(),
    hooks.KLEarlyStop: lambda tmp_path: hooks.KLEarlyStop(0.1, 1),
    hooks.LearningCurve: lambda tmp_path: hooks.LearningCurve(
        tmp_path / "metrics.csv", tmp_path / "curve.png"
    ),
    hooks.LearningRateSchedule: lambda tmp_path: hooks.LearningRateSchedule(
        adam(), hooks.linear_schedule(1.0, 0.0, 100)
    ),
    hooks.LogLosses: lambda tmp_path: hooks.LogLosses(),
    hooks.LogScalar: lambda tmp_path: hooks.LogScalar(),
    hooks.LogValidationReward: lambda tmp_path: hooks.LogValidationReward(
        policy_exploration=lambda td: td.set("action", torch.zeros(td.batch_size).long()),
        environment="CartPole-v1",
        record_interval=10,
        episodes=1,
    ),
    hooks.Minibatches: lambda tmp_path: hooks.Minibatches(2),
    hooks.NaNGuard: lambda tmp_path: hooks.NaNGuard(),
    hooks.OptimizerHook: lambda tmp_path: hooks.OptimizerHook(adam(), ["loss_value"]),
    hooks.ProgressBar: lambda tmp_path: hooks.ProgressBar(),
    hooks.RewardScaling: lambda tmp_path: hooks.RewardScaling(0.9),
    hooks.SaveWeights: lambda tmp_path: hooks.SaveWeights(tmp_path / "w.pt", {"net": NETWORK}),
    hooks.Throughput: lambda tmp_path: hooks.Throughput(),
    hooks.TorchThreads: lambda tmp_path: hooks.TorchThreads(1),
    hooks.FlushDenormals: lambda tmp_path: hooks.FlushDenormals(),
    hooks.KeepFreedMemory: lambda tmp_path: hooks.KeepFreedMemory(),
    hooks.MatmulPrecision: lambda tmp_path: hooks.MatmulPrecision("medium"),
    hooks.ValueEstimation: lambda tmp_path: hooks.ValueEstimation(
        NETWORK, GAE(0.9, 0.9), recompute_every=2
    ),
}

FACTORIES |= {
    hooks.BatchSubSampler: lambda tmp_path: hooks.BatchSubSampler(6, 3),
    hooks.ClearCudaCache: lambda tmp_path: hooks.ClearCudaCache(2),
    hooks.EarlyStopping: lambda tmp_path: hooks.EarlyStopping("x", threshold=1.0),
    hooks.EpsilonGreedySchedule: lambda tmp_path: hooks.EpsilonGreedySchedule(
        SimpleNamespace(epsilon=1.0), hooks.linear_schedule(1.0, 0.0, 100)
    ),
    hooks.ExponentialMovingAverage: lambda tmp_path: hooks.ExponentialMovingAverage(
        QuadraticLoss(), 0.9
    ),
    hooks.GradientAccumulation: lambda tmp_path: hooks.GradientAccumulation(
        hooks.OptimizerHook(adam(), ["loss_value"]), 2
    ),
    hooks.HookTiming: lambda tmp_path: hooks.HookTiming(),
    hooks.ParameterStatistics: lambda tmp_path: hooks.ParameterStatistics(QuadraticLoss(), 10),
    hooks.ReplayBufferTrainer: lambda tmp_path: hooks.ReplayBufferTrainer(
        TensorDictReplayBuffer(storage=LazyTensorStorage(50), batch_size=4)
    ),
    hooks.RewardNormalizer: lambda tmp_path: hooks.RewardNormalizer(),
    hooks.ScaledOptimizerHook: lambda tmp_path: hooks.ScaledOptimizerHook(adam(), ["loss_value"]),
    hooks.SelectKeys: lambda tmp_path: hooks.SelectKeys(KEYS),
    hooks.TargetNetUpdaterHook: lambda tmp_path: hooks.TargetNetUpdaterHook(CountingUpdater()),
    hooks.TargetUpdate: lambda tmp_path: hooks.TargetUpdate(
        QuadraticLoss(3.0), QuadraticLoss(1.0), tau=0.5
    ),
    hooks.TrainFrequency: lambda tmp_path: hooks.TrainFrequency(20),
    hooks.BufferSize: lambda tmp_path: hooks.BufferSize(range(7)),
    hooks.UTDRHook: lambda tmp_path: hooks.UTDRHook(make_trainer(0)),
    hooks.UpdateWeights: lambda tmp_path: hooks.UpdateWeights(
        SimpleNamespace(update_policy_weights_=lambda: None), 2
    ),
    hooks.WarmUp: lambda tmp_path: hooks.WarmUp(20),
}

every_hook = pytest.mark.parametrize("kind", FACTORIES, ids=lambda kind: kind.__name__)


class LossWithDivergence(QuadraticLoss):
    def forward(self, tensordict):
        return super().forward(tensordict).set("kl_approx", torch.zeros(()))


def trainer_for(kind):
    """A trainer whose batches and losses have whatever some hook reads."""
    batch = make_batch()
    batch["action"] = torch.zeros(batch.batch_size, dtype=torch.long)
    batch["state_value"] = torch.randn(*batch.batch_size, 1)
    batch["value_target"] = torch.randn(*batch.batch_size, 1)
    batch["next", "reward"] = torch.randn(*batch.batch_size, 1)
    return make_trainer(
        [batch, batch.clone()],
        loss_module=LossWithDivergence(),
        with_optimizer=kind not in OPTIMIZERS,
    )


def used(hook):
    """The hook after two batches of training, so that its state is not that of a new one."""
    trainer = trainer_for(type(hook))
    hook.register(trainer, "mine")
    trainer.train()
    return hook


def same_state(one, other):
    (skeleton, tensors), (other_skeleton, other_tensors) = encode(one), encode(other)
    return skeleton == other_skeleton and all(
        torch.equal(tensor, other_tensors[name]) for name, tensor in tensors.items()
    )


def test_no_hook_is_left_out():
    exported = [getattr(hooks, name) for name in hooks.__all__]
    kinds = {
        kind
        for kind in exported
        if isinstance(kind, type) and issubclass(kind, hooks.TrainerHookBase)
    }
    assert kinds - {hooks.TrainerHookBase} == set(FACTORIES)


@every_hook
def test_a_fresh_hook_takes_over_the_state_through_the_codec(kind, tmp_path):
    state = used(FACTORIES[kind](tmp_path)).state_dict()
    fresh = FACTORIES[kind](tmp_path)
    fresh.load_state_dict(decode(*encode(state)))
    assert same_state(fresh.state_dict(), state)


@every_hook
def test_a_hook_registers_under_a_name_of_its_own(kind, tmp_path):
    trainer, hook = make_trainer(0, with_optimizer=False), FACTORIES[kind](tmp_path)
    hook.register(trainer)
    assert list(trainer.modules.values()) == [hook]
    assert all(r.name.startswith(*trainer.modules) for r in trainer.hooks)


@every_hook
def test_a_hook_registers_under_the_name_it_is_given(kind, tmp_path):
    trainer, hook = make_trainer(0, with_optimizer=False), FACTORIES[kind](tmp_path)
    hook.register(trainer, "mine")
    assert trainer.modules == {"mine": hook}
    assert all(r.name.startswith("mine") for r in trainer.hooks)


@every_hook
def test_two_of_a_kind_register_side_by_side_under_two_names(kind, tmp_path):
    trainer = make_trainer(0, with_optimizer=False)
    for name in ("one", "two"):
        FACTORIES[kind](tmp_path).register(trainer, name)
    assert set(trainer.modules) == {"one", "two"}


@every_hook
def test_a_state_of_other_entries_is_refused_and_changes_nothing(kind, tmp_path):
    hook = used(FACTORIES[kind](tmp_path))
    before = hook.state_dict()
    with pytest.raises(MissingKey, match=kind.__name__):
        hook.load_state_dict({**before, "unexpected": 1})
    assert same_state(hook.state_dict(), before)


@every_hook
def test_a_hook_leaves_the_entries_that_the_environment_gave(kind, tmp_path):
    trainer = trainer_for(kind)
    given = [batch.clone() for batch in trainer.collector.batches]
    FACTORIES[kind](tmp_path).register(trainer)
    trainer.train()
    for before, after in zip(given, trainer.collector.batches, strict=True):
        for key in ("observation", "action", *(("next", key) for key in before["next"].keys(True))):
            assert torch.equal(after[key], before[key]), key
