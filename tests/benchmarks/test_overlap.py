"""The comparison with overlapped collection: what it trains, and what its table says."""

import itertools
import time

import pytest

from benchmarks import overlap
from benchmarks.overlap import WORKS, Batch, compare, make_slow, row, train
from hookrl import PPOConfig

TINY = PPOConfig(num_envs=2, steps_per_env=4, epochs=1, minibatches=1)


@pytest.mark.parametrize("busy", [False, True])
def test_a_slow_environment_takes_its_time(busy):
    env = make_slow(busy)
    env.reset(seed=0)
    start = time.perf_counter()
    env.step(0)
    assert time.perf_counter() - start >= overlap.STEP_SECONDS
    env.close()


def test_works_differ_from_the_plain_ones_by_nothing_but_the_environment():
    waits, computes = list(WORKS.values())[1:]
    assert (waits.env_kwargs, computes.env_kwargs) == ({}, {"busy": True})
    assert {config.vectorization_mode for config in (waits, computes)} == {"async"}


def test_batches_follow_each_other():
    batches = train(TINY, 4, overlap_collection=True)
    assert len(batches) == 4
    for one, following in itertools.pairwise(batches):
        assert one.start < one.learned < one.end == following.start


def test_both_sides_take_part(monkeypatch):
    monkeypatch.setattr(
        overlap,
        "train",
        lambda config, batches, compile, overlap_collection: [(overlap_collection, compile)],
    )
    sides = compare(TINY, compile=True, batches=1, rounds=2)
    assert sides == [[(False, True)] * 2, [(True, True)] * 2]


def test_a_row_tells_medians_and_what_was_saved():
    sides = [[Batch(1.0, 1.3, 1.4)] * 2 + [Batch(1.0, 2.0, 9.0)], [Batch(1.0, 1.25, 1.3)]]
    assert row("a work", True, sides) == [
        "a work",
        "captured",
        "400 (300 + 100)",
        "300 (250 + 50)",
        "25%",
    ]
