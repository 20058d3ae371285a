import itertools
import random

import pytest

from benchmarks import timing
from benchmarks.timing import difference, estimate, in_turn, slope


def test_ways_take_turns_and_each_begins_a_round(monkeypatch):
    monkeypatch.setattr(timing.time, "thread_time", itertools.count().__next__)
    calls = []
    ways = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = in_turn(ways, 3, prepare=lambda: calls.append("-"))
    assert "".join(calls) == "".join(f"-{name}-{name}" for name in "abcbcacab")
    assert seconds == {name: [1, 1, 1] for name in "abc"}


def test_the_interval_holds_the_median_nineteen_times_out_of_twenty():
    generator = random.Random(0)
    hits = 0
    for _ in range(400):
        found = estimate([generator.expovariate(1) for _ in range(50)])
        hits += found.low <= 0.6931 <= found.high
    assert hits / 400 == pytest.approx(0.95, abs=0.03)


def test_few_values_have_an_interval_of_all_of_them():
    assert estimate([3.0, 1.0]) == (2.0, 1.0, 3.0)


def test_differences_are_taken_within_rounds():
    assert difference([10.0, 20.0, 31.0], [9.0, 18.0, 30.0]).median == 1.0


def test_the_slope_is_what_one_more_costs():
    times = {0: [5.0, 6.0], 10: [25.0, 26.0], 20: [45.0, 46.0]}
    assert slope(times) == pytest.approx((2.0, 2.0, 2.0))
