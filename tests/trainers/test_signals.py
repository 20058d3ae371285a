import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from toys import make_trainer

from hookrl.trainers.signals import HANDLED, ending_in_good_order

SCRIPT = """
import signal, sys, time
from hookrl.trainers.signals import ending_in_good_order
with ending_in_good_order(lambda reason: print(reason, flush=True)):
    print("ready", flush=True)
    for _ in range({ticks}):
        time.sleep(0.05)
print("not reached", flush=True)
"""


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    before = [signal.getsignal(number) for number in HANDLED]
    yield
    assert [signal.getsignal(number) for number in HANDLED] == before


def test_an_interrupt_asks_to_stop_and_is_raised_afterwards():
    reasons = []

    def block():
        with ending_in_good_order(reasons.append):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            reasons.append("the block went on")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reasons == ["SIGINT was received", "the block went on"]


def test_a_termination_exits_with_the_conventional_code():
    with pytest.raises(SystemExit) as caught, ending_in_good_order(lambda reason: None):
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 143


def test_what_the_block_raises_is_not_hidden_by_a_signal():
    def block():
        with ending_in_good_order(lambda reason: None):
            os.kill(os.getpid(), signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()


def test_in_another_thread_nothing_is_handled():
    seen = []

    def work():
        with ending_in_good_order(lambda reason: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.parametrize("number", HANDLED, ids=lambda number: number.name)
def test_a_second_signal_kills_at_once(number):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(ticks=1000)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == f"{number.name} was received\n"
    process.send_signal(number)
    assert process.wait(timeout=10) == -number
    assert process.stdout.read() == ""


def interrupted_trainer(path, batches=5, at=2):
    trainer, count = make_trainer(batches, save_trainer_file=path), []

    def interrupt():
        count.append(trainer.collected_frames)
        if len(count) == at:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.register_op("pre_optim_steps", interrupt)
    return trainer


def test_training_ends_after_the_batch_and_is_saved(tmp_path):
    trainer = interrupted_trainer(tmp_path / "trainer.pt")
    with pytest.raises(SystemExit):
        trainer.train()
    assert trainer.stop_reason == "SIGTERM was received"
    loaded = make_trainer(5)
    loaded.register_op("pre_optim_steps", lambda: None, name="interrupt")
    loaded.load_from_file(tmp_path / "trainer.pt")
    assert (loaded.collected_frames, loaded.optim_steps) == (20, 4)


def test_training_without_a_place_for_checkpoints_leaves_signals_alone():
    trainer, seen = make_trainer(1), []
    trainer.register_op("post_steps", lambda: seen.append(signal.getsignal(signal.SIGTERM)))
    trainer.train()
    assert seen == [signal.getsignal(signal.SIGTERM)]
