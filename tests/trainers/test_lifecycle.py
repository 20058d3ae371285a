"""What happens around training: start, end, exceptions, teardown."""

import pytest
import torch
from toys import make_trainer

from hookrl.hooks import POINTS, TrainerHookBase


class Witness(TrainerHookBase):
    """Writes down which of its methods were called."""

    def __init__(self):
        self.seen = []

    def register(self, trainer, name="witness"):
        trainer.register_module(name, self)

    def on_train_start(self, trainer):
        self.seen.append("start")

    def on_batch_start(self, trainer):
        self.seen.append("batch")

    def on_train_end(self, trainer):
        self.seen.append("end")

    def on_exception(self, trainer, error):
        self.seen.append(type(error).__name__)

    def teardown(self, trainer):
        self.seen.append("teardown")


def failing(arguments):
    def fail(*_):
        raise ZeroDivisionError("on purpose")

    return {
        0: lambda: fail(),
        1: lambda batch: fail(),
        4: lambda losses, clip_grad_norm, clip_norm, step: fail(),
    }[arguments]


def test_methods_are_called_in_the_order_of_a_run():
    trainer, witness = make_trainer(2), Witness()
    witness.register(trainer)
    trainer.train()
    assert witness.seen == ["start", "batch", "batch", "batch", "end", "teardown"]


@pytest.mark.parametrize("point", POINTS)
def test_an_exception_at_any_point_names_hook_and_point_and_everything_is_torn_down(point):
    trainer, witness = make_trainer(2), Witness()
    witness.register(trainer)
    trainer.register_op(point, failing(len(POINTS[point].arguments)), name="culprit")
    with pytest.raises(ZeroDivisionError) as info:
        trainer.train()
    assert info.value.__notes__ == [f"raised by hook 'culprit' at {point!r}"]
    assert witness.seen == ["start", "batch", "ZeroDivisionError", "teardown"]
    assert trainer.collector.closed
    assert trainer.logger.closed


@pytest.mark.parametrize("method", ["on_train_start", "on_batch_start", "on_train_end"])
def test_an_exception_in_a_method_tears_everything_down(method):
    trainer, witness = make_trainer(1), Witness()

    def fail(trainer):
        raise ZeroDivisionError

    setattr(witness, method, fail)
    witness.register(trainer)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert witness.seen[-2:] == ["ZeroDivisionError", "teardown"]
    assert trainer.collector.closed


def test_an_exception_in_the_collector_tears_everything_down():
    def batches():
        raise OSError("no more disk")
        yield

    trainer, witness = make_trainer(0, collector=batches()), Witness()
    witness.register(trainer)
    with pytest.raises(OSError, match="no more disk"):
        trainer.train()
    assert witness.seen == ["start", "batch", "OSError", "teardown"]
    assert trainer.logger.closed


def test_a_keyboard_interrupt_tears_everything_down():
    trainer, witness = make_trainer(1), Witness()
    witness.register(trainer)

    def interrupt():
        raise KeyboardInterrupt

    trainer.register_op("post_steps", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert witness.seen[-2:] == ["KeyboardInterrupt", "teardown"]


def test_a_teardown_that_fails_does_not_keep_the_others_from_theirs():
    trainer, bad, good = make_trainer(1), Witness(), Witness()

    def fail(trainer):
        raise OSError("cannot close")

    bad.teardown = fail
    bad.register(trainer, "bad")
    good.register(trainer, "good")
    with pytest.raises(OSError, match="cannot close"):
        trainer.train()
    assert good.seen[-1] == "teardown"
    assert trainer.collector.closed


def test_a_failing_teardown_does_not_hide_the_first_exception():
    trainer, witness = make_trainer(1), Witness()

    def fail(trainer):
        raise OSError("cannot close")

    witness.teardown = fail
    witness.register(trainer)
    trainer.register_op("post_steps", failing(0))
    with pytest.raises(ZeroDivisionError) as info:
        trainer.train()
    assert any("cannot close" in note for note in info.value.__notes__)


def test_a_failing_on_exception_does_not_hide_the_first_exception():
    trainer, witness = make_trainer(1), Witness()

    def fail(trainer, error):
        raise OSError("even that")

    witness.on_exception = fail
    witness.register(trainer)
    trainer.register_op("post_steps", failing(0))
    with pytest.raises(ZeroDivisionError) as info:
        trainer.train()
    assert any("even that" in note for note in info.value.__notes__)
    assert witness.seen[-1] == "teardown"


def test_what_was_measured_before_an_exception_is_written():
    trainer = make_trainer(3, log_interval=10**6)
    trainer.register_op("pre_steps_log", lambda batch: {"x": 1.0})
    trainer.register_op("post_steps", failing(0), every=2)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert trainer.logger.rows == [(20, {"x": 1.0})]


def test_an_interrupt_within_one_teardown_does_not_keep_the_others_from_theirs():
    trainer, bad, good = make_trainer(1), Witness(), Witness()

    def interrupt(trainer):
        raise KeyboardInterrupt

    bad.teardown = interrupt
    bad.register(trainer, "bad")
    good.register(trainer, "good")
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert good.seen[-1] == "teardown"
    assert trainer.collector.closed


def test_a_hook_may_exit_and_everything_is_torn_down():
    trainer, witness = make_trainer(1), Witness()
    witness.register(trainer)

    def leave():
        raise SystemExit(3)

    trainer.register_op("post_steps", leave)
    with pytest.raises(SystemExit):
        trainer.train()
    assert witness.seen[-2:] == ["SystemExit", "teardown"]


def test_the_last_checkpoint_is_written_before_anything_at_the_end_can_fail(tmp_path):
    trainer, witness = make_trainer(1, save_trainer_file=tmp_path / "trainer.pt"), Witness()

    def fail(trainer):
        raise OSError("cannot draw")

    witness.on_train_end = fail
    witness.register(trainer)
    with pytest.raises(OSError, match="cannot draw"):
        trainer.train()
    assert (tmp_path / "trainer.pt").exists()


def test_what_is_logged_at_the_end_of_training_is_written():
    trainer, witness = make_trainer(1), Witness()
    witness.on_train_end = lambda trainer: trainer.log({"last": 1.0})
    witness.register(trainer)
    trainer.train()
    assert trainer.logger.rows == [(10, {"last": 1.0})]


def test_an_exception_in_a_method_names_method_and_hook():
    trainer, witness = make_trainer(1), Witness()

    def fail(trainer):
        raise ZeroDivisionError

    witness.on_train_start = fail
    witness.register(trainer)
    with pytest.raises(ZeroDivisionError) as info:
        trainer.train()
    assert info.value.__notes__ == ["raised by on_train_start of hook Witness"]


def test_the_process_is_seeded_when_training_starts_whatever_happened_since():
    drawn = []
    for disturb in (False, True):
        trainer = make_trainer(1, seed=7)
        trainer.register_op("post_steps", lambda: drawn.append(torch.rand(1).item()))
        if disturb:
            torch.rand(10)
            make_trainer(1, seed=8)
        trainer.train()
    assert drawn[0] == drawn[1]
