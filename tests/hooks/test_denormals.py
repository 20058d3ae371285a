import pytest
import torch
from toys import make_trainer

from hookrl.hooks import FlushDenormals
from hookrl.hooks.denormals import flushes_denormals


@pytest.fixture(autouse=True)
def as_it_was():
    """A thread that flushes nothing, put back whatever happens."""
    before = flushes_denormals()
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(before)


def flushing_trainer():
    trainer, seen = make_trainer(1), []
    FlushDenormals().register(trainer)
    trainer.register_op("post_steps", lambda: seen.append(flushes_denormals()))
    return trainer, seen


def test_denormals_are_zero_while_training_and_only_then():
    trainer, seen = flushing_trainer()
    assert not flushes_denormals()
    trainer.train()
    assert seen == [True]
    assert not flushes_denormals()


def test_they_are_back_after_an_exception():
    trainer, _ = flushing_trainer()
    trainer.register_op("post_steps", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    assert not flushes_denormals()


def test_a_thread_that_flushed_before_goes_on_doing_so():
    torch.set_flush_denormal(True)
    flushing_trainer()[0].train()
    assert flushes_denormals()


def test_a_training_that_never_started_changes_nothing():
    FlushDenormals().teardown(make_trainer(0))
    assert not flushes_denormals()


def test_the_running_mean_of_a_dead_unit_reaches_zero():
    def stuck(flush):
        torch.set_flush_denormal(flush)
        parameter = torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.Adam([parameter], fused=True)
        for gradient in (1.0, *[0.0] * 1100):
            parameter.grad = torch.tensor([gradient])
            optimizer.step()
        return optimizer.state[parameter]["exp_avg"].item()

    assert 0.0 < stuck(flush=False) < 1e-38
    assert stuck(flush=True) == 0.0
