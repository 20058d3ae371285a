import os
import subprocess
import sys

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


THREADS = """
import torch
from hookrl.hooks.denormals import flush_denormals

torch.set_num_threads(4)
tiny = torch.full((2**20,), 1e-39)
for flush in (False, True, False):
    flush_denormals(flush)
    print(int((tiny * 0.5).count_nonzero()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's OpenMP")
def test_torchs_further_threads_do_the_same():
    run = subprocess.run(
        [sys.executable, "-c", THREADS],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        stdout=subprocess.PIPE,
    )
    assert run.stdout.split() == [b"1048576", b"0", b"1048576"]


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
