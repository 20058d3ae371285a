"""What `check_hook` is asked with: factories, batches, trainers."""

import inspect
import random

import numpy as np
import pytest
import torch
from hooks.sound import Sound, check_passes

from hookrl import hooks
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks.check import check_hook
from hookrl.testing import tiny_batch, tiny_trainer


def test_a_factory_may_take_the_trainer():
    given = []

    class TakesTrainer(Sound):
        def __init__(self, trainer):
            super().__init__()
            given.append(trainer)

    check_hook(TakesTrainer)
    check_hook(lambda t: TakesTrainer(t))
    assert all(hasattr(trainer, "register_op") for trainer in given)


def test_an_object_that_is_not_derived_from_the_base_can_be_checked():
    class Duck:
        def on_train_start(self, trainer):
            self.trainer = trainer

        def register(self, trainer, name="duck"):
            trainer.register_op("pre_steps_log", self, name=name)
            trainer.register_module(name, self)

        def __call__(self, batch):
            return {"steps": self.trainer.optim_steps}

        def state_dict(self):
            return {}

        def load_state_dict(self, state_dict): ...

    check_passes(Duck)


def test_a_class_that_needs_other_arguments_is_refused():
    with pytest.raises(InvalidType, match=r"cannot make a RewardScaling, which needs gamma: exp"):
        check_hook(hooks.RewardScaling)


@pytest.mark.parametrize("instance", [3, hooks.LogLosses(), hooks.Throughput(), hooks.NaNGuard()])
def test_an_instance_is_refused(instance):
    with pytest.raises(InvalidType, match="received an instance of .*: expected a class"):
        check_hook(instance)


def test_a_trainer_instead_of_a_factory_is_refused():
    with pytest.raises(InvalidType, match="trainer is a Trainer: expected a function"):
        check_hook(Sound, trainer=tiny_trainer())


def test_a_batch_that_is_no_tensordict_is_refused():
    with pytest.raises(InvalidType, match="batch is a dict: expected a TensorDict"):
        check_hook(Sound, batch={})


def test_a_trainer_whose_collector_cannot_resume_is_refused_unless_there_is_a_batch():
    def trainer():
        return tiny_trainer(collector=[tiny_batch()] * 9, total_frames=10**6)

    with pytest.raises(InvalidType, match="collector of the trainer is a list: expected one with"):
        check_hook(Sound, trainer=trainer)
    check_hook(Sound, trainer=trainer, batch=tiny_batch())


def test_training_that_ends_at_once_is_refused():
    class Stops(Sound):
        def register(self, trainer, name="stops"):
            super().register(trainer, name)
            self.trainer = trainer

        def __call__(self, batch):
            self.trainer.request_stop("enough of it")

    with pytest.raises(InvalidValue, match=r"ended after 1 batches \(enough of it\): expected"):
        check_hook(Stops)


def test_a_hook_that_ends_training_later_can_be_checked():
    class Stops(Sound):
        def register(self, trainer, name="stops"):
            super().register(trainer, name)
            self.trainer = trainer

        def __call__(self, batch):
            if self.trainer.collected_frames >= 32:
                self.trainer.request_stop("enough of it")

    check_passes(Stops)


def test_the_batch_is_what_the_hook_sees_and_stays_as_it_is():
    batch, seen = tiny_batch().set("bonus", torch.linspace(-1.0, 1.0, 8).view(2, 4, 1)), []
    before = batch.clone()

    class Looks(Sound):
        def __call__(self, given):
            seen.append(given["bonus"].sum())

    check_hook(Looks, batch=batch)
    assert (batch == before).all()
    assert torch.stack(seen).eq(batch["bonus"].sum()).all()


def test_process_wide_generators_are_left_as_they_were():
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = random.random(), np.random.rand(), torch.rand(())
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    check_hook(Sound)
    assert (random.random(), np.random.rand(), torch.rand(())) == expected


def test_importing_the_hooks_imports_no_trainers():
    source = inspect.getsource(inspect.getmodule(check_hook))
    top = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert not [line for line in top if "testing" in line or "trainers" in line]
