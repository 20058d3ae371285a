"""`check_hook` catches each way to break the contract of a hook, and nothing else."""

import random

import numpy as np
import pytest
import torch
from hooks.sound import Sound, check_fails, check_passes

from hookrl import hooks
from hookrl.errors import MissingKey
from hookrl.hooks.check import check_hook
from hookrl.testing import tiny_trainer


def test_a_sound_hook_passes():
    check_passes(Sound)


def test_the_error_is_an_assertion_and_names_the_hook():
    class Fails(Sound):
        state_dict = None

    with pytest.raises(AssertionError, match=r"^Fails fails the check 'factory'") as caught:
        check_hook(Fails)
    assert (caught.value.hook, caught.value.check) == ("Fails", "factory")


def test_a_factory_that_gives_one_instance_twice_is_caught():
    hook = Sound()
    check_fails(lambda: hook, "factory", "returned the same instance twice")


def test_a_hook_without_load_state_dict_is_caught():
    class OneWay(Sound):
        load_state_dict = None

    check_fails(OneWay, "factory", "it has no method load_state_dict")


def test_a_register_that_needs_a_name_is_caught():
    class Nameless(Sound):
        def register(self, trainer, name):
            super().register(trainer, name)

    check_fails(Nameless, "registration", "register(trainer) raised TypeError", "'name'")


def test_a_register_that_takes_no_name_is_caught():
    class Fixed(Sound):
        def register(self, trainer):
            super().register(trainer)

    check_fails(Fixed, "registration", "register(trainer, 'checked') raised TypeError")


def test_a_state_under_another_name_than_the_given_one_is_caught():
    class Ignores(Sound):
        def register(self, trainer, name="ignores"):
            super().register(trainer, "ignores")

    check_fails(Ignores, "registration", "its state goes by 'ignores'", "register_module('checked'")


def test_operations_that_collide_with_those_of_a_second_instance_are_caught():
    class Collides(Sound):
        def register(self, trainer, name="collides"):
            trainer.register_op(self.point, self, name="collides")
            trainer.register_module(name, self)

    check_fails(Collides, "registration", "two instances under two names raised InvalidValue")


def test_an_unknown_point_is_caught():
    class Lost(Sound):
        point = "pre_step_log"

    check_fails(Lost, "registration", "unknown hook point 'pre_step_log'", "'pre_steps_log'")


def test_a_signature_that_does_not_fit_the_point_is_caught():
    class Misfit(Sound):
        point = "post_optim"

    check_fails(Misfit, "registration", "'post_optim' calls hook()")


def test_a_hook_that_registers_nothing_is_caught():
    class Idle(Sound):
        def register(self, trainer, name="idle"): ...

    check_fails(Idle, "registration", "register(trainer) registered no operation and no module")


def test_a_hook_that_raises_is_caught():
    class Raises(Sound):
        def __call__(self, batch):
            raise RuntimeError("no such luck")

    check_fails(Raises, "training", "raised RuntimeError: no such luck", "give batch= or trainer=")


@pytest.mark.parametrize("point", ["batch_process", "process_optim_batch", "post_loss"])
@pytest.mark.parametrize(
    "change",
    [
        lambda batch: batch["next", "reward"].mul_(2.0),
        lambda batch: batch.set(("next", "reward"), batch["next", "reward"] * 2.0),
    ],
    ids=["the tensor", "the entry"],
)
def test_a_reward_changed_in_place_is_caught(point, change):
    class Doubles(Sound):
        def __call__(self, batch):
            change(batch)

    Doubles.point = point
    check_fails(
        Doubles, "environment", f"at {point!r} changed 'next/reward' in place, from tensor("
    )


def test_an_entry_of_the_environment_that_is_taken_away_is_caught():
    class Takes(Sound):
        point = "batch_process"

        def __call__(self, batch):
            return batch.exclude("action", inplace=True)

    check_fails(Takes, "environment", "changed the names in it in place")


def test_a_changed_copy_is_fine():
    class Copies(Sound):
        point = "process_optim_batch"

        def __call__(self, batch):
            copy = batch.clone(recurse=False)
            copy["observation"] = batch["observation"] * 2.0
            return copy

    check_passes(Copies)


def test_a_declared_key_that_is_not_written_is_caught():
    class Forgets(Sound):
        point = "batch_process"
        writes = (("next", "bonus"),)

        def __call__(self, batch): ...

    check_fails(Forgets, "writes", "declares to write ('next', 'bonus') and did not")


def test_a_method_that_does_not_write_what_it_declares_is_caught():
    class Forgets(Sound):
        def register(self, trainer, name="forgets"):
            trainer.register_op("batch_process", self.add, name=name)
            trainer.register_module(name, self)

        @hooks.declares(writes=("bonus",))
        def add(self, batch): ...

    check_fails(Forgets, "writes", "add at 'batch_process' declares to write 'bonus'")


def test_a_declared_key_that_is_not_read_is_caught():
    class Boasts(Sound):
        reads = ("observation", "action")

        def __call__(self, batch):
            return {"mean": batch["observation"].mean()}

    check_fails(Boasts, "reads", "declares to read 'action' and does without it")


def test_a_key_that_is_read_and_not_declared_is_caught():
    class Hides(Sound):
        reads = ("observation",)

        def __call__(self, batch):
            return {"mean": batch["observation"].mean() + batch["next", "reward"].mean()}

    check_fails(Hides, "reads", "declares to read 'observation', but without ('next', 'reward')")


def test_a_declared_tensordict_covers_what_is_in_it():
    class ReadsAll(Sound):
        reads = ("next",)

        def __call__(self, batch):
            return {"mean": batch["next", "reward"].mean()}

    check_passes(ReadsAll)


def test_a_hook_that_declares_nothing_may_read_anything():
    class Undeclared(Sound):
        def __call__(self, batch):
            return {"mean": batch["next", "reward"].mean()}

    check_passes(Undeclared)


def test_data_without_a_declared_key_are_the_users_mistake():
    class Needs(Sound):
        reads = ("observatoin",)

    with pytest.raises(MissingKey, match=r"did you mean 'observation'\?.*given a batch="):
        check_hook(Needs)


def test_a_state_that_no_checkpoint_can_hold_is_caught():
    class KeepsASet(Sound):
        def __init__(self):
            self.count = {1}

        def __call__(self, batch):
            self.count = self.count | {len(self.count)}

    check_fails(KeepsASet, "state", "a checkpoint cannot hold it", "/count is a set")


def test_a_state_that_a_fresh_instance_refuses_is_caught():
    class Picky(Sound):
        def load_state_dict(self, state_dict):
            if state_dict["count"] != self.count:
                raise ValueError("not mine")

    check_fails(Picky, "state", "refused the state of a used one: ValueError: not mine")


def test_a_state_that_is_not_restored_is_caught():
    class Forgets(Sound):
        def load_state_dict(self, state_dict): ...

    check_fails(Forgets, "state", "after loading, 'count' is 0 instead of 6")


def test_a_counter_outside_the_state_is_caught():
    class Forgets(Sound):
        state_fields = ()

    check_fails(
        Forgets,
        "continuation",
        "resumed after batch 3, 'batch 4/metrics/0/count' is 1 instead of 4",
    )


def test_a_generator_outside_the_state_is_caught():
    class Draws(Sound):
        def __init__(self):
            super().__init__()
            self.generator = torch.Generator().manual_seed(0)

        def __call__(self, batch):
            return {"noise": torch.rand((), generator=self.generator)}

    check_fails(Draws, "continuation", "resumed after batch 3, 'batch 4/metrics/0/noise'")


def test_what_alternates_outside_the_state_is_caught():
    class Flips(Sound):
        point = "batch_process"
        state_fields = ()

        def __call__(self, batch):
            self.count += 1
            return batch[self.count % 2 :]

    check_fails(Flips, "continuation", "resumed after batch 3", "'batch 4/")


def test_what_alternates_in_the_inner_loop_is_caught():
    class Flips(Sound):
        point = "process_optim_batch"
        state_fields = ()

        def __call__(self, batch):
            self.count += 1
            return batch[self.count % 4 // 2 :]

    check_fails(Flips, "continuation", "resumed after batch 3", "'batch 4/")


def test_a_target_that_is_not_saved_is_caught():
    class Target(Sound):
        point = "post_optim"
        state_fields = ()

        def __init__(self, trainer):
            super().__init__()
            self.trainer = trainer
            self.average = 0.0

        def __call__(self):
            self.average = 0.9 * self.average + 0.1 * self.trainer.loss_module.weight.item()
            self.trainer.losses["average"] = torch.tensor(self.average)

    check_fails(Target, "continuation", "resumed after batch 3", "'batch 4/losses/0/average'")


def test_process_wide_generators_may_be_used_since_checkpoints_hold_them():
    class Draws(Sound):
        def __call__(self, batch):
            return {"noise": torch.rand(()) + np.random.rand() + random.random()}

    check_passes(Draws)


def test_a_state_that_breaks_training_when_resumed_is_caught():
    class Breaks(Sound):
        def load_state_dict(self, state_dict):
            super().load_state_dict(state_dict)
            self.loaded = True

        def __call__(self, batch):
            if hasattr(self, "loaded"):
                raise RuntimeError("out of order")

    check_fails(Breaks, "continuation", "training raised RuntimeError: out of order")


def test_times_may_differ():
    class Clock(Sound):
        ticks = iter(range(10**6))

        def __call__(self, batch):
            return {"time/tick": next(self.ticks)}

    check_passes(Clock)


def test_a_mutable_class_attribute_is_caught():
    class Shares(Sound):
        seen = []  # noqa: RUF012

        def __call__(self, batch):
            self.seen.append(1)

    check_fails(Shares, "sharing", "changed the length of class attributes/Shares.seen", "class")


def test_a_counter_on_the_class_is_caught():
    class Shares(Sound):
        total = 0

        def __call__(self, batch):
            type(self).total += 1

    check_fails(Shares, "sharing", "changed 'class attributes/Shares.total'")


def test_a_generator_on_the_class_is_caught():
    class Shares(Sound):
        generator = np.random.default_rng(0)

        def __call__(self, batch):
            self.generator.random()

    check_fails(Shares, "sharing", "changed 'class attributes/Shares.generator/")


def test_a_mutable_default_argument_is_caught():
    class Shares(Sound):
        def __init__(self, seen=[]):  # noqa: B006
            super().__init__()
            self.seen = seen

        def __call__(self, batch):
            self.seen.append(1)

    check_fails(Shares, "sharing", "changed the length of attributes/seen of another")


def test_a_part_that_the_factory_hands_to_all_instances_is_caught():
    loss = tiny_trainer().loss_module
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1, momentum=0.9)

    def trainer():
        return tiny_trainer(loss_module=loss, optimizer=None, total_frames=10**6)

    check_fails(
        lambda: hooks.OptimizerHook(optimizer),
        "sharing",
        "object that the factory hands to all",
        trainer=trainer,
    )


def test_a_register_that_changes_the_trainer_is_caught():
    class Meddles(Sound):
        def register(self, trainer, name="meddles"):
            super().register(trainer, name)
            trainer.optim_steps_per_batch = 1

    check_fails(Meddles, "removal", "after removing all its operations", "batch 1/losses")
