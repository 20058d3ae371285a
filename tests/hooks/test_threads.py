import pytest
import torch
from toys import make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import TorchThreads


@pytest.fixture
def own_number():
    """The process's number of threads, put back whatever happens."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def limited_trainer(threads):
    trainer, seen = make_trainer(1), []
    TorchThreads(threads).register(trainer)
    trainer.register_op("post_steps", lambda: seen.append(torch.get_num_threads()))
    return trainer, seen


def test_training_uses_the_number_it_was_given(own_number):
    trainer, seen = limited_trainer(own_number + 1)
    trainer.train()
    assert seen == [own_number + 1]


def test_the_process_has_its_own_number_back_after_training(own_number):
    limited_trainer(own_number + 1)[0].train()
    assert torch.get_num_threads() == own_number


def test_the_process_has_its_own_number_back_after_an_exception(own_number):
    trainer, _ = limited_trainer(own_number + 1)
    trainer.register_op("post_steps", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert torch.get_num_threads() == own_number


def test_building_a_trainer_changes_nothing(own_number):
    limited_trainer(own_number + 1)
    assert torch.get_num_threads() == own_number


def test_a_training_that_never_started_puts_no_older_number_back(own_number):
    hook = TorchThreads(own_number + 1)
    hook.on_train_start(make_trainer(0))
    hook.teardown(make_trainer(0))
    torch.set_num_threads(own_number + 2)
    hook.teardown(make_trainer(0))
    assert torch.get_num_threads() == own_number + 2


def test_no_threads_are_refused():
    with pytest.raises(InvalidValue, match="threads=0.*expected at least 1"):
        TorchThreads(0)
