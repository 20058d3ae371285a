"""A plainly registered hook of hookrl runs in torchrl's trainer, or says why it cannot."""

import copy
from types import SimpleNamespace

import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDictBase
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import GymEnv
from torchrl.record.loggers import CSVLogger
from torchrl.record.loggers.tensorboard import TensorboardLogger
from torchrl.trainers import Trainer

from hookrl import hooks
from hookrl.errors import InvalidType
from hookrl.hooks import TrainerHookBase
from hookrl.models import ActorCritic
from hookrl.objectives import GAE
from hookrl.testing import TinyCollector, TinyLoss

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


class Source(TinyCollector):
    """As much of a collector as torchrl's trainer asks for."""

    init_random_frames = 0

    def shutdown(self): ...


class Log:
    def __init__(self):
        self.values = {}

    def log_scalar(self, name, value, step):
        self.values.setdefault(name, []).append(float(value))


def make_trainer(frames=24, **options):
    loss = TinyLoss()
    return Trainer(
        **{
            "collector": Source(),
            "total_frames": frames,
            "frame_skip": 1,
            "optim_steps_per_batch": 2,
            "loss_module": loss,
            "optimizer": torch.optim.SGD(loss.parameters(), lr=0.1),
            "logger": Log(),
            "progress_bar": False,
            "log_interval": 0,
            **options,
        }
    )


class MeanReward(TrainerHookBase):
    """Written for hookrl, with nothing but the two plain calls in ``register``."""

    state_fields = ("total", "batches")

    def __init__(self):
        self.total, self.batches = 0.0, 0

    def register(self, trainer, name="mean_reward"):
        trainer.register_op("pre_steps_log", self)
        trainer.register_module(name, self)

    def __call__(self, batch):
        self.total += batch["next", "reward"].mean().item()
        self.batches += 1
        return {"mean_reward": self.total / self.batches}


def test_a_hook_with_its_own_register_runs_and_is_saved():
    trainer, hook = make_trainer(), MeanReward()
    hook.register(trainer)
    trainer.train()
    assert trainer.logger.values["mean_reward"][-1] == pytest.approx(hook.total / 3)
    assert trainer._modules["mean_reward"].state_dict()["batches"] == 3


def test_a_hook_of_three_points_runs():
    class Everywhere(MeanReward):
        def register(self, trainer, name="everywhere"):
            trainer.register_op("batch_process", self.process)
            trainer.register_op("process_optim_batch", self.sample)
            trainer.register_op("post_optim", self.count)
            trainer.register_module(name, self)

        def process(self, batch):
            return batch.reshape(-1)

        def sample(self, batch):
            return batch[:3]

        def count(self):
            self.batches += 1

    sizes = []
    trainer, hook = make_trainer(), Everywhere()
    hook.register(trainer)
    trainer.register_op("post_optim_log", lambda sub_batch: sizes.append(sub_batch.batch_size))
    trainer.train()
    assert hook.batches == 6
    assert set(sizes) == {torch.Size([3])}


def test_data_hooks_of_hookrl_run_where_they_are_put():
    trainer, seen = make_trainer(), []
    trainer.register_op("batch_process", hooks.RewardScaling(0.9))
    trainer.register_op("process_optim_batch", hooks.BatchSubSampler(6, 3))
    trainer.register_op("post_optim_log", lambda sub_batch: seen.append(sub_batch))
    trainer.train()
    assert all(isinstance(sample, TensorDictBase) for sample in seen)
    assert all(("next", "scaled_reward") in sample.keys(True) for sample in seen)
    assert {sample.batch_size for sample in seen} == {torch.Size([2, 3])}


def test_the_optimizer_hook_of_hookrl_optimizes():
    loss = TinyLoss()
    trainer = make_trainer(loss_module=loss, optimizer=None)
    trainer.register_op("optimizer", hooks.OptimizerHook(torch.optim.SGD(loss.parameters(), 0.1)))
    trainer.train()
    assert loss.weight != 0.5


# ------------------------------------------------------------------ every hook that is shipped


LOGGING = {
    hooks.BufferSize: (lambda loss: hooks.BufferSize(range(7)), "buffer/size", [7.0] * 3),
    hooks.CountFramesLog: (lambda loss: hooks.CountFramesLog(2), "n_frames", [16.0, 32.0, 48.0]),
    hooks.EpisodeStatistics: (
        lambda loss: hooks.EpisodeStatistics(),
        "episode/mean_length",
        [3.5, 3.5, 10 / 3],
    ),
    hooks.LogScalar: (lambda loss: hooks.LogScalar("observation", "o"), "o_std", None),
}
"""Hooks that report at ``pre_steps_log``: how they are made, one of their metrics, its values."""


@pytest.mark.parametrize("kind", LOGGING, ids=lambda kind: kind.__name__)
def test_a_logging_hook_reports(kind):
    make, name, values = LOGGING[kind]
    trainer = make_trainer()
    trainer.register_op("pre_steps_log", make(trainer.loss_module))
    trainer.train()
    found = trainer.logger.values[name]
    assert len(found) == 3
    assert values is None or found == pytest.approx(values)


@pytest.mark.parametrize("kind", [CSVLogger, TensorboardLogger])
def test_torchrls_own_loggers_take_the_numbers(kind, tmp_path):
    trainer = make_trainer(logger=kind("run", log_dir=str(tmp_path)), progress_bar=True)
    trainer.register_op("pre_steps_log", hooks.CountFramesLog(log_pbar=True))
    trainer.register_op("pre_steps_log", hooks.EpisodeStatistics())
    trainer.train()
    assert trainer._pbar_str["n_frames"].value == 24
    if kind is CSVLogger:
        lines = (tmp_path / "run/scalars/n_frames.csv").read_text().splitlines()
        assert lines == ["8,8.0", "16,16.0", "24,24.0"]


class Weights:
    def __init__(self):
        self.sent = 0

    def update_policy_weights_(self):
        self.sent += 1


def target_update(loss, **interval):
    return hooks.TargetUpdate(loss, copy.deepcopy(loss), **interval)


def test_an_interval_that_a_hook_was_made_with_holds(monkeypatch):
    cleared, weights = [], Weights()
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: cleared.append(1))
    trainer = make_trainer(40)
    target = target_update(trainer.loss_module, every=7)
    average = hooks.ExponentialMovingAverage(trainer.loss_module, 0.0, every=7)
    trainer.register_op("pre_optim_steps", hooks.ClearCudaCache(2))
    trainer.register_op("post_optim", target)
    trainer.register_op("post_optim", average)
    trainer.register_op("post_steps", hooks.UpdateWeights(weights, 2))
    seen = []
    trainer.register_op("post_optim", lambda: seen.append(trainer.loss_module.weight.item()))
    trainer.train()
    assert (len(cleared), weights.sent) == (2, 2)
    assert target.state_dict()["weight"].item() == seen[6]
    assert average.average["weight"].item() == seen[6]


def test_gradients_are_accumulated():
    losses = [TinyLoss(), TinyLoss()]
    for loss, points in zip(losses, (("backward", "step"), ()), strict=True):
        trainer = make_trainer(8, loss_module=loss, optimizer=None, optim_steps_per_batch=4)
        hook = hooks.OptimizerHook(torch.optim.SGD(loss.parameters(), lr=0.1))
        accumulating = hooks.GradientAccumulation(hook, 4)
        for point in points:
            trainer.register_op("optimizer", getattr(accumulating, point))
        if not points:
            trainer.optim_steps_per_batch = 1
            trainer.register_op("optimizer", hook)
        trainer.train()
    assert losses[0].weight.item() == pytest.approx(losses[1].weight.item())


def test_each_step_has_a_part_of_its_own():
    trainer, seen = make_trainer(8), []
    trainer.register_op("process_optim_batch", hooks.BatchSubSampler(4))
    trainer.register_op("batch_process", lambda batch: batch.reshape(-1))
    trainer.register_op("post_optim_log", lambda sub_batch: seen.append(sub_batch["observation"]))
    trainer.train()
    assert not torch.equal(*seen)


def test_minibatches_cut_the_batch_they_are_shown():
    trainer, sizes, minibatches = make_trainer(16, optim_steps_per_batch=9), [], None
    minibatches = hooks.Minibatches(2, epochs=2)
    trainer.register_op("batch_process", minibatches.start)
    trainer.register_op("process_optim_batch", minibatches)
    trainer.register_op("post_optim_log", lambda sub_batch: sizes.append(sub_batch.batch_size[0]))
    trainer.train()
    assert sizes == [4] * 8


def test_a_replay_buffer_is_filled_and_sampled():
    trainer, seen = make_trainer(), []
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(50), batch_size=5)
    replay = hooks.ReplayBufferTrainer(buffer)
    trainer.register_op("batch_process", replay.extend)
    trainer.register_op("process_optim_batch", replay.sample)
    trainer.register_op("post_loss", replay.update_priority)
    trainer.register_op("post_optim_log", lambda sample: seen.append(sample.batch_size))
    trainer.train()
    assert len(buffer) == 24
    assert set(seen) == {torch.Size([5])}


def test_rewards_are_normalised_and_keys_selected():
    trainer, seen, normalizer = make_trainer(8), [], hooks.RewardNormalizer(1.0)
    trainer.register_op("batch_process", normalizer.update_reward_stats)
    trainer.register_op("batch_process", hooks.SelectKeys(["next"]))
    trainer.register_op("process_optim_batch", normalizer.normalize_reward)
    trainer.register_op("post_optim_log", lambda sub_batch: seen.append(sub_batch))
    trainer.train()
    assert set(seen[0].keys()) == {"next"}
    assert seen[0]["next", "reward"].mean().item() == pytest.approx(0.0, abs=1e-6)


def test_a_target_updater_steps():
    steps, trainer = [], make_trainer(8)
    updater = SimpleNamespace(step=lambda: steps.append(1))
    trainer.register_op("post_optim", hooks.TargetNetUpdaterHook(updater))
    trainer.train()
    assert len(steps) == 2


def test_values_are_estimated_and_explained():
    network = ActorCritic.from_spaces(
        spaces.Box(-1.0, 1.0, (3,)), spaces.Discrete(2), hidden_sizes=(4,)
    )
    trainer = make_trainer()
    trainer.register_op("batch_process", hooks.ValueEstimation(network, GAE(0.9, 0.9)))
    trainer.register_op("pre_steps_log", hooks.ExplainedVariance())
    trainer.train()
    assert len(trainer.logger.values["train/explained_variance"]) == 3


def test_a_loss_that_is_no_number_stops_before_the_optimizer():
    loss = TinyLoss()
    loss.weight.data.fill_(torch.nan)
    trainer = make_trainer(loss_module=loss, optimizer=None)
    trainer.register_op("optimizer", hooks.NaNGuard())
    trainer.register_op("optimizer", hooks.OptimizerHook(optimizer_of(loss)))
    with pytest.raises(hooks.NonFiniteLoss, match="^loss_value is nan: expected finite losses"):
        trainer.train()
    assert loss.bias.item() == 0.0


def optimizer_of(loss):
    return torch.optim.SGD(loss.parameters(), lr=0.1)


def schedule(frames):
    return 0.5


# Hooks that count frames or speak to their trainer: where they hang, and how they are made.
NEED_A_TRAINER = {
    hooks.EpsilonGreedySchedule: (
        "post_steps",
        lambda loss: hooks.EpsilonGreedySchedule(SimpleNamespace(epsilon=1.0), schedule),
    ),
    hooks.KLEarlyStop: ("post_optim", lambda loss: hooks.KLEarlyStop(0.1, 1)),
    hooks.LearningRateSchedule: (
        "post_steps",
        lambda loss: hooks.LearningRateSchedule(optimizer_of(loss), schedule),
    ),
    hooks.LogLosses: ("post_steps_log", lambda loss: hooks.LogLosses()),
    hooks.LogValidationReward: (
        "post_steps_log",
        lambda loss: hooks.LogValidationReward(
            record_interval=8,
            record_frames=2,
            policy_exploration=None,
            environment=GymEnv("CartPole-v1"),
        ),
    ),
    hooks.ParameterStatistics: (
        "optimizer",
        lambda loss: hooks.ParameterStatistics(loss, 8).measure_gradients,
    ),
    hooks.TargetUpdate: ("post_optim", lambda loss: target_update(loss, every_frames=8)),
    hooks.Throughput: ("post_steps_log", lambda loss: hooks.Throughput()),
    hooks.TrainFrequency: ("pre_optim_steps", lambda loss: hooks.TrainFrequency(8)),
    hooks.WarmUp: ("pre_optim_steps", lambda loss: hooks.WarmUp(8)),
}


@pytest.mark.parametrize("kind", NEED_A_TRAINER, ids=lambda kind: kind.__name__)
def test_a_hook_that_needs_its_trainer_says_so(kind):
    point, make = NEED_A_TRAINER[kind]
    trainer = make_trainer()
    trainer.register_op(point, make(trainer.loss_module))
    with pytest.raises(InvalidType, match=f"^{kind.__name__} hangs on no trainer .*: expected"):
        trainer.train()
