from types import SimpleNamespace

import pytest
from toys import make_trainer

from hookrl.hooks import Throughput, throughput


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless a test moves it."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def timed_trainer(clock, seconds, **options):
    """A trainer whose batches, of 10 frames each, take the given seconds."""
    trainer, durations = make_trainer(len(seconds), **options), iter(seconds)
    Throughput().register(trainer)

    def work():
        clock.now += next(durations)

    trainer.register_op("post_steps", work)
    return trainer


def test_the_rate_is_that_of_frames_over_seconds_in_each_row(clock):
    trainer = timed_trainer(clock, [1.0, 4.0])
    trainer.train()
    assert [row["time/fps"] for _, row in trainer.logger.rows] == [10.0, 2.5]


def test_a_row_of_several_batches_has_all_frames_over_all_seconds(clock):
    trainer = timed_trainer(clock, [1.0, 3.0], log_interval=20)
    trainer.train()
    assert trainer.logger.rows == [(20, {"time/fps": 20 / 4.0})]


def test_frames_and_time_of_before_training_do_not_count(clock):
    trainer = timed_trainer(clock, [2.0])
    trainer.collected_frames = 1000
    clock.now += 500.0
    trainer.train()
    assert trainer.logger.rows == [(1010, {"time/fps": 5.0})]
