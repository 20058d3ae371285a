"""Hooks are taken off a built trainer, and others put in their place, by name."""

import pytest
import torch
from tensordict import TensorDict
from torchrl.trainers import LogScalar
from toys import make_batch, make_trainer

from hookrl import hooks
from hookrl.errors import InvalidType, MissingKey
from hookrl.hooks import ReplayBufferTrainer, TrainerHookBase
from hookrl.replay import PrioritizedSampler, ReplayBuffer


class TwoPoints(TrainerHookBase):
    """Tells which of its operations ran."""

    def __init__(self, said):
        self.said = said

    def register(self, trainer, name="two_points"):
        trainer.register_op("post_steps", self, name=name)
        trainer.register_op("pre_optim_steps", self.before, name=f"{name}.before")
        trainer.register_module(name, self)

    def __call__(self):
        self.said.append("after")

    def before(self):
        self.said.append("before")


def names(trainer):
    return [f"{registration.point.name}/{registration.name}" for registration in trainer.hooks]


def replaying(sampler=None):
    trainer = make_trainer([batch(), batch()], loss_module=TemporalDifference())
    ReplayBufferTrainer(ReplayBuffer(20, batch_size=4, sampler=sampler)).register(trainer)
    hooks.BufferSize().register(trainer)
    return trainer


def batch():
    one = make_batch()
    one["action"] = torch.zeros(2, 5, dtype=torch.long)
    return one


class TemporalDifference(torch.nn.Module):
    """Leaves an error for each transition in the sample."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, sample):
        sample["td_error"] = sample["next", "reward"].squeeze(-1) * self.weight
        return TensorDict({"loss_value": self.weight**2}, batch_size=[])


def test_prioritized_replay_instead_of_uniform_is_one_line():
    trainer = replaying()
    prioritized = ReplayBuffer(20, batch_size=4, sampler=PrioritizedSampler())

    trainer.swap_hook("replay_buffer", ReplayBufferTrainer(prioritized))

    assert trainer.describe() == replaying(PrioritizedSampler()).describe()
    assert "replay_buffer.update_priority" in trainer.describe()
    trainer.train()
    assert trainer.replay_buffer is prioritized
    assert len(prioritized) == 20
    assert trainer.logger.rows[-1][1]["buffer/size"] == 20


def test_the_other_optimizer_is_one_line_too():
    trainer = make_trainer(2)

    trainer.swap_hook(
        "optimizer", hooks.GradientAccumulation(hooks.OptimizerHook(trainer.optimizer), 4)
    )

    trainer.train()
    assert trainer.optim_steps == 4
    assert trainer.loss_module.weight.item() == pytest.approx(0.8)  # one step: 1 - 0.1 · 2


def test_what_comes_in_the_place_goes_by_the_name_and_has_its_seed():
    trainer, other = make_trainer(1, seed=3), make_trainer(1, seed=3)
    hooks.Minibatches(2).register(trainer, "parts")
    hooks.BatchSubSampler(4).register(other, "parts")

    trainer.swap_hook("parts", sampler := hooks.BatchSubSampler(4))

    assert trainer.modules["parts"] is sampler
    assert names(trainer) == names(other)
    expected = other.modules["parts"].state_dict()["_generator_state"]
    assert torch.equal(sampler.state_dict()["_generator_state"], expected)


def test_a_removed_hook_is_gone_with_its_operations_and_its_state():
    trainer, said = make_trainer(1), []
    before = names(trainer), set(trainer.modules)
    TwoPoints(said).register(trainer)
    trainer.remove_hook("two_points")
    assert (names(trainer), set(trainer.modules)) == before
    trainer.train()
    assert said == []


def test_while_training_a_removed_hook_is_not_called_again_and_its_successor_from_then_on():
    trainer, first, second = make_trainer(3), [], []
    TwoPoints(first).register(trainer)
    trainer.register_op(
        "post_optim", lambda: trainer.swap_hook("two_points", TwoPoints(second)), once=True
    )
    trainer.train()
    assert first == ["before"]
    assert second == ["before", "after"] * 2


@pytest.mark.parametrize(
    "act",
    [
        lambda trainer: trainer.remove_hook("two_point"),
        lambda trainer: trainer.swap_hook("two_point", TwoPoints([])),
    ],
    ids=["remove", "swap"],
)
def test_an_unknown_name_is_told_with_the_nearest(act):
    trainer = make_trainer(1)
    TwoPoints([]).register(trainer)
    with pytest.raises(MissingKey, match="no hook 'two_point' .* mean 'two_points'.*registered"):
        act(trainer)


def test_a_hook_that_cannot_be_registered_leaves_the_old_one_in_its_place():
    class Misfit(TwoPoints):
        def register(self, trainer, name="misfit"):
            super().register(trainer, name)
            trainer.register_op("optimizer", self, name=name)

    trainer, said = make_trainer(1), []
    TwoPoints(said).register(trainer)
    before = names(trainer), dict(trainer.modules)
    with pytest.raises(InvalidType, match="'optimizer' calls hook"):
        trainer.swap_hook("two_points", Misfit([]))
    assert (names(trainer), trainer.modules) == before
    trainer.train()
    assert said == ["before", "after"]


def test_a_hook_of_torchrl_is_swapped_as_well():
    trainer = make_trainer(1)
    LogScalar(logname="r").register(trainer)
    trainer.swap_hook("log_r", hooks.LogScalar(logname="r"))
    trainer.train()
    assert {"r", "r_std"} <= set(trainer.logger.rows[0][1])
    assert sum("pre_steps_log" in name for name in names(trainer)) == 1


def test_a_hook_that_is_registered_by_hand_is_removed_by_its_name():
    trainer, said = make_trainer(1), []
    trainer.register_op("post_steps", TwoPoints(said), name="mine")
    trainer.remove_hook("mine")
    trainer.train()
    assert said == []


def test_a_hook_that_is_registered_by_hand_knows_its_trainer():
    trainer = make_trainer(3)
    trainer.register_op("pre_optim_steps", hooks.WarmUp(25))
    trainer.register_op("post_steps_log", hooks.LogLosses())
    trainer.register_op("optimizer", hooks.NaNGuard())
    trainer.train()
    assert trainer.optim_steps == 2
    assert "train/loss_value" in trainer.logger.rows[-1][1]
