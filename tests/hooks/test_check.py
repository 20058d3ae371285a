"""`check_hook` passes every hook of hookrl, and catches each way to break the contract."""

import inspect
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torchrl import trainers as torchrl_hooks
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer

from hookrl import hooks
from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import TrainerHookBase
from hookrl.hooks.check import HookCheckError, check_hook
from hookrl.models import ActorCritic
from hookrl.objectives import GAE
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
    check_hook(factory, **options)


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
    check_hook(factory)


# ------------------------------------------------------------------- broken hooks


class Sound(TrainerHookBase):
    """Keeps every promise; the hooks below break one each."""

    point = "pre_steps_log"
    state_fields = ("count",)

    def __init__(self):
        self.count = 0

    def register(self, trainer, name="sound"):
        trainer.register_op(self.point, self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch):
        self.count += 1
        return {"count": self.count}


def check_fails(factory, check, *parts, **options):
    with pytest.raises(HookCheckError) as caught:
        check_hook(factory, **options)
    text = str(caught.value)
    assert f"fails the check {check!r}: " in text
    assert "; expected " in text
    for part in parts:
        assert part in text
    assert text.count("\n") == 0


def test_a_sound_hook_passes():
    check_hook(Sound)


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

    check_hook(Copies)


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

    check_hook(ReadsAll)


def test_a_hook_that_declares_nothing_may_read_anything():
    class Undeclared(Sound):
        def __call__(self, batch):
            return {"mean": batch["next", "reward"].mean()}

    check_hook(Undeclared)


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

    check_hook(Draws)


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

    check_hook(Clock)


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


# ---------------------------------------------------------------- what is asked for


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

    check_hook(Duck)


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

    check_hook(Stops)


def test_the_batch_is_what_the_hook_sees_and_stays_as_it_is():
    batch, seen = batch_with("bonus"), []

    class Looks(Sound):
        def __call__(self, given):
            seen.append(given["bonus"].sum())

    check_hook(Looks, batch=batch)
    assert (batch["bonus"] == batch_with("bonus")["bonus"]).all()
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
