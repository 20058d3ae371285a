import time

import pytest
from toys import make_trainer

from hookrl.hooks import HookTiming, TrainerHookBase


class Sleeper(TrainerHookBase):
    """Takes its time, in both phases."""

    def register(self, trainer, name="sleeper"):
        trainer.register_op("process_optim_batch", self, name=name)
        trainer.register_module(name, self)

    def prepare(self, trainer):
        time.sleep(0.002)

    def __call__(self, batch):
        time.sleep(0.004)


def timed(batches=2, *hooks):
    trainer, timing = make_trainer(batches), HookTiming()
    timing.register(trainer)
    for hook in hooks:
        hook.register(trainer)
    return trainer, timing


def test_seconds_are_counted_for_each_hook_and_point():
    trainer, timing = timed(2, Sleeper())
    trainer.train()
    assert 0.016 <= timing.total("process_optim_batch", "sleeper") < 0.1
    assert 0.008 <= timing.total("prepare", "sleeper") < 0.1
    assert timing.total("optimizer", "optimizer.step") > 0
    assert timing.total("optimizer", "unknown") is None


def test_rows_hold_the_seconds_per_batch():
    trainer, _ = timed(2, Sleeper())
    trainer.train()
    for _, row in trainer.logger.rows:
        assert 0.008 <= row["time/process_optim_batch/sleeper"] < 0.05
        assert all(name.startswith("time/") for name in row)


def test_hooks_registered_during_training_are_timed_from_the_next_batch_on():
    trainer, timing = timed(3)

    def join():
        trainer.register_op("post_optim", lambda: None, name="late")

    trainer.register_op("post_steps", join, once=True)
    trainer.train()
    assert timing.total("post_optim", "late") > 0


def test_an_exception_still_names_its_hook():
    trainer, _ = timed(1)
    trainer.register_op("post_optim", lambda: 1 / 0, name="culprit")
    with pytest.raises(ZeroDivisionError) as info:
        trainer.train()
    assert info.value.__notes__ == ["raised by hook 'culprit' at 'post_optim'"]


def test_the_clocks_are_taken_off_when_training_is_over():
    trainer, _ = timed(1, Sleeper())
    trainer.train()
    calls = [call for hooks in trainer.hooks.points.values() for call in hooks.calls]
    calls += [call for _, call in trainer.prepare_calls]
    assert not {"_Timed"} & {type(call).__name__ for call in calls}


def test_training_again_begins_at_zero():
    trainer, timing = timed(1, Sleeper())
    timing.totals["optimizer/before"] = 1.0
    trainer.train()
    assert timing.total("optimizer", "before") is None


def test_what_is_learned_is_the_same_with_and_without():
    plain, (watched, _) = make_trainer(2), timed(2)
    plain.train()
    watched.train()
    assert plain.loss_module.weight.item() == watched.loss_module.weight.item()
