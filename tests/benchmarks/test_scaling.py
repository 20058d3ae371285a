"""Whether cost grows as it should is told from a few points."""

import json

import pytest

from benchmarks.scaling import __main__ as scaling
from benchmarks.scaling.axes import AXES, Axis
from benchmarks.scaling.cliffs import cliffs
from benchmarks.scaling.point import measure
from benchmarks.scaling.report import speeds as fastest


def axis(**settings):
    return Axis(**{"title": "", "label": "", "unit": "", "series": {}, "exponent": 1, **settings})


def speeds(costs):
    return {value: 1 / cost for value, cost in costs.items()}


def test_a_fixed_part_and_a_straight_line_are_no_cliff():
    assert cliffs(axis(), speeds({n: 5 + 0.1 * n for n in (1, 10, 100, 1000)})) == []


def test_a_point_above_the_line_between_its_neighbours_is_one():
    (found,) = cliffs(axis(), speeds({1: 1.0, 10: 20.0, 100: 100.0}))
    assert found.value == 10
    assert found.ratio == pytest.approx(2)


def test_the_last_point_is_compared_with_what_the_power_allows():
    assert cliffs(axis(), speeds({10: 1.0, 20: 2.9})) == []
    assert [cliff.value for cliff in cliffs(axis(), speeds({10: 1.0, 20: 3.1}))] == [20]


def test_batches_that_grow_cost_as_much_more():
    assert cliffs(axis(of_batch=True), {1: 100.0, 10: 100.0, 100: 100.0}) == []


@pytest.mark.parametrize(
    ("name", "series", "value"),
    [
        ("environments", "tensors, eager", 4),
        ("width", "eager", 32),
        ("replay", "in files", 10_000),
        ("replay", "prioritized, in memory", 10_000),
        ("hooks", "eager", 10),
    ],
)
def test_a_point_is_measured(name, series, value, tmp_path):
    assert series in AXES[name].series
    figures = measure(name, series, value, 0.0, tmp_path)
    assert figures["fps"] > 0
    assert figures["batches"] >= 3


@pytest.fixture
def timed(monkeypatch):
    """Which points were timed, each faster than the one before, instead of timing them."""
    calls = []

    def run(axis, series, value, options):
        calls.append((series, value))
        return {"fps": float(len(calls)), "batch": 1, "batches": 3, "load": 0.0}

    monkeypatch.setattr(scaling, "_run", run)
    return calls


def test_every_point_is_measured_before_any_is_measured_again(timed, tmp_path):
    scaling.main(["hooks", "--most", "10", "--turns", "2", "--results", str(tmp_path)])
    once = [(series, value) for series in ("eager", "captured") for value in (0, 10)]
    assert timed == once * 2


def test_turns_that_are_there_are_not_made_again(timed, tmp_path):
    arguments = ["hooks", "--most", "0", "--results", str(tmp_path), "--turns"]
    scaling.main([*arguments, "1"])
    scaling.main([*arguments, "3"])
    assert timed == [("eager", 0), ("captured", 0)] * 3
    content = json.loads((tmp_path / "scaling_hooks.json").read_text())
    assert fastest(content) == {"eager": {0: 5.0}, "captured": {0: 6.0}}
