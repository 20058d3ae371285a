import json

import pytest

from benchmarks import hook_cost
from benchmarks.hook_cost_report import BOUNDS, bound, met, section, summary


def found(median):
    return {"median": median, "low": median - 1, "high": median + 1}


@pytest.mark.usefixtures("interpreted")
def test_a_short_measurement_has_every_figure_and_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(hook_cost, "use_processors", lambda count: None)
    hook_cost.main(["--rounds", "2", "--results", str(tmp_path / "results")])
    content = json.loads((tmp_path / "results" / "hook_cost.json").read_text())
    for name in BOUNDS:
        assert any(figure.startswith(name) for figure in content["figures"]), name
    assert all(step["low"] > 0 for step in content["steps"].values())
    assert "# The hook system" in (tmp_path / "RESULTS.md").read_text()


def test_the_dispatch_of_a_hook_costs_something():
    slopes = hook_cost.cost_of_a_hook(5)
    assert all(0 < found.median < 1e-4 for found in slopes.values())


def test_every_figure_has_its_bound():
    assert bound("hook, eager, post_optim") == 1
    assert bound("system, captured, over the bare graph") == 10


def test_none_is_what_cannot_be_noticed():
    assert met("hook, captured", found(0.01))
    assert not met("hook, captured", found(0.2))


def test_what_costs_too_much_stands_out():
    content = {
        "command": "python -m benchmarks.hook_cost",
        "machine": {"cpu": "some"},
        "versions": {"python": "3"},
        "rounds": 2,
        "figures": {"hook, eager, optimizer": found(0.5), "system, eager": found(11.0)},
        "steps": {"by hand, eager": found(900.0)},
    }
    assert [line.endswith("**met**") for line in summary(content)] == [True, False]
    text = section(content)
    assert "| one more hook, eager, optimizer | 0.500 | -0.500 to 1.500 | 1 | yes |" in text
    assert (
        "| the system in one inner step, eager | 11.000 | 10.000 to 12.000 | 10 | **NO** |" in text
    )
    assert "| by hand, eager | 900.0 | 899.0 to 901.0 |" in text
