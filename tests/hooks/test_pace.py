"""An interval that a hook was made with holds however the hook is registered."""

import copy
import inspect

import pytest
import torch
from toys import QuadraticLoss, make_trainer

from hookrl import hooks
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import TrainerHookBase
from hookrl.hooks.pace import Pace, paced, taken_apart


class Collector:
    def update_policy_weights_(self): ...


def accumulation(trainer):
    return hooks.GradientAccumulation(hooks.OptimizerHook(optimizer_of(trainer)), 3)


def optimizer_of(trainer):
    return torch.optim.SGD(trainer.loss_module.parameters(), lr=0.1)


def target_update(trainer, **interval):
    return hooks.TargetUpdate(trainer.loss_module, copy.deepcopy(trainer.loss_module), **interval)


def validation(trainer):
    return hooks.LogValidationReward(
        policy_exploration=None, environment="CartPole-v1", record_interval=25, episodes=1
    )


# Each hook with an interval of its own: the point and method of its paced operation, and how it is
# made.
PACED = {
    "ClearCudaCache": ("pre_optim_steps", "__call__", lambda t: hooks.ClearCudaCache(2)),
    "ExponentialMovingAverage": (
        "post_optim",
        "__call__",
        lambda t: hooks.ExponentialMovingAverage(t.loss_module, every=3),
    ),
    "TargetUpdate": ("post_optim", "__call__", lambda t: target_update(t, every=3)),
    "TargetUpdate in frames": (
        "post_optim",
        "__call__",
        lambda t: target_update(t, every_frames=25),
    ),
    "GradientAccumulation": ("optimizer", "step", accumulation),
    "ParameterStatistics": (
        "optimizer",
        "measure_gradients",
        lambda t: hooks.ParameterStatistics(t.loss_module, 25),
    ),
    "LogValidationReward": ("post_steps_log", "__call__", validation),
    "UpdateWeights": ("post_steps", "__call__", lambda t: hooks.UpdateWeights(Collector(), 2)),
}
every_case = pytest.mark.parametrize("case", PACED.values(), ids=PACED)


def bare(trainer_batches=5):
    return make_trainer(trainer_batches, with_optimizer=False)


def runs(case, register, monkeypatch):
    """After how many frames and steps the operation ran."""
    point, method, make = case
    trainer, seen = bare(), []
    hook = make(trainer)
    function = inspect.getattr_static(type(hook), method)
    with monkeypatch.context() as patch:
        patch.setattr(
            function,
            "__wrapped__",
            lambda hook, *args: seen.append((trainer.collected_frames, trainer.optim_steps)),
        )
        register(trainer, hook, point, method)
        trainer.train()
    return seen


def by_itself(trainer, hook, point, method):
    hook.register(trainer)


def by_hand(trainer, hook, point, method):
    trainer.register_op(point, hook if method == "__call__" else getattr(hook, method))


@every_case
def test_by_hand_it_runs_exactly_when_it_would_by_its_own_register(case, monkeypatch):
    expected = runs(case, by_itself, monkeypatch)
    assert 0 < len(expected) < 5
    assert runs(case, by_hand, monkeypatch) == expected


@every_case
def test_the_description_shows_it(case):
    point, method, make = case
    trainer = bare()
    by_hand(trainer, make(trainer), point, method)
    assert "every " in trainer.describe()


@every_case
def test_a_second_interval_is_refused(case):
    point, method, make = case
    trainer = bare()
    hook = make(trainer)
    op = hook if method == "__call__" else getattr(hook, method)
    with pytest.raises(InvalidValue, match="was made to run every .* expected one of the two"):
        trainer.register_op(point, op, every=7)


def test_every_paced_operation_of_hookrl_is_looked_at_here():
    kinds = [getattr(hooks, name) for name in hooks.__all__]
    found = {
        (kind.__name__, name)
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, TrainerHookBase)
        for name, function in vars(kind).items()
        if hasattr(function, "pace")
    }
    assert found == {(name.split()[0], method) for name, (_, method, _) in PACED.items()}


def test_optimization_steps_between_updates_count_at_any_point():
    calls = []
    trainer = make_trainer(6)

    class Receiver:
        def update_policy_weights_(self):
            calls.append(trainer.optim_steps)

    trainer.register_op(
        "post_steps", hooks.UpdateWeights(Receiver(), 5, interval_unit="optim_steps")
    )
    trainer.train()
    assert calls == [6, 12]  # after batches of two steps


class Counts(TrainerHookBase):
    """Counts its runs."""

    state_fields = ("count",)

    def __init__(self, interval=1, frames=None):
        self.interval, self.frames, self.count = interval, frames, 0

    def register(self, trainer, name="counts"):
        trainer.register_op("post_steps", self, name=name)
        trainer.register_module(name, self)

    @paced(every="interval", every_frames="frames")
    def __call__(self):
        self.count += 1


def test_without_an_interval_another_one_may_be_given():
    trainer, hook = make_trainer(6), Counts()
    trainer.register_op("post_steps", hook, every=3)
    trainer.train()
    assert hook.count == 2


def test_an_interval_of_no_frames_is_none():
    trainer, hook = make_trainer(6), Counts(1, 0)
    trainer.register_op("post_steps", hook, every=3)
    trainer.train()
    assert hook.count == 2


def test_once_holds_beside_an_interval():
    trainer, hook = make_trainer(6), Counts(2)
    trainer.register_op("post_steps", hook, once=True)
    trainer.train()
    assert hook.count == 1


def test_one_hook_at_two_points_counts_at_each():
    trainer, hook = make_trainer(6), Counts(3)
    trainer.register_op("post_steps", hook)
    trainer.register_op("pre_optim_steps", hook)
    trainer.train()
    assert hook.count == 4


def test_the_count_survives_a_checkpoint():
    one, other, hook = make_trainer(2), make_trainer(1), Counts(3)
    one.register_op("post_steps", Counts(3), name="counts")
    one.train()
    other.register_op("post_steps", hook, name="counts")
    other.load_state_dict(one.state_dict())
    other.train()
    assert hook.count == 1


def test_a_subclass_that_calls_its_base_keeps_the_interval():
    class Tells(Counts):
        calls = 0

        def __call__(self):
            self.calls += 1
            super().__call__()

    for hook in (Tells(2), Tells(1, 25)):
        trainer = make_trainer(6)
        trainer.register_op("post_steps", hook)
        trainer.train()
        assert (hook.calls, hook.count) == (6, 3 if hook.frames is None else 2)


def test_called_by_hand_the_hook_counts_the_calls_itself():
    hook = Counts(3)
    seen = []
    for _ in range(7):
        hook()
        seen.append(hook.count)
    assert seen == [0, 0, 1, 1, 1, 2, 2]


def test_frames_need_a_trainer_that_says_how_many():
    with pytest.raises(InvalidType, match="^Counts hangs on no trainer .*: expected .*hookrl"):
        Counts(1, 100)()


def test_an_operation_without_a_mark_is_what_it_is():
    assert taken_apart(len) == (len, Pace())
    assert taken_apart(QuadraticLoss.forward) == (QuadraticLoss.forward, Pace())
