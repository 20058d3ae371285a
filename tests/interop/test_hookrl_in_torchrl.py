"""A plainly registered hook of hookrl runs in torchrl's trainer."""

import pytest
import torch
from tensordict import TensorDictBase
from torchrl.trainers import Trainer

from hookrl import hooks
from hookrl.hooks import TrainerHookBase
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


@pytest.mark.parametrize(
    ("point", "hook", "name"),
    [
        ("pre_steps_log", hooks.LogScalar(logname="r"), "r"),
        ("pre_steps_log", hooks.LogScalar("observation", "o"), "o_std"),
    ],
)
def test_logging_hooks_of_hookrl_run_where_they_are_put(point, hook, name):
    trainer = make_trainer()
    trainer.register_op(point, hook)
    trainer.train()
    assert len(trainer.logger.values[name]) == 3


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
