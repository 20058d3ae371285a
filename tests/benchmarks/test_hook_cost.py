import json
import subprocess

import pytest

from benchmarks import hook_cost
from benchmarks.hook_cost_report import BOUNDS, bound, met, section, summary


def found(median):
    return {"median": median, "each": [median + 1, median - 1]}


@pytest.mark.usefixtures("interpreted")
def test_a_short_measurement_has_every_figure_and_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(hook_cost, "use_processors", lambda count: None)
    seeds = []

    def apart(rounds, seed):
        seeds.append(seed)
        return hook_cost.measured(rounds)

    monkeypatch.setattr(hook_cost, "measured_apart", apart)
    hook_cost.main(["--rounds=2", "--processes=2", f"--results={tmp_path / 'results'}"])
    assert seeds == [0, 1]
    content = json.loads((tmp_path / "results" / "hook_cost.json").read_text())
    for name in BOUNDS:
        assert any(figure.startswith(name) for figure in content["figures"]), name
    assert all(len(step["each"]) == 2 for step in content["steps"].values())
    assert all(min(step["each"]) > 0 for step in content["steps"].values())
    assert "# The hook system" in (tmp_path / "RESULTS.md").read_text()


def test_a_process_of_its_own_has_its_hash_seed_and_gives_what_it_measured(monkeypatch):
    """What is started in the place of Python says how, behind a line that is not for us."""
    found = {"figures": {"system, eager": 1.5}, "steps": {"bare graph": 200.0}}
    calls = []

    def run(command, env, **_):
        calls.append((command[1:], env["PYTHONHASHSEED"]))
        return subprocess.CompletedProcess(command, 0, f"a warning\n{json.dumps(found)}\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert hook_cost.measured_apart(7, 3) == found
    assert calls == [(["-m", "benchmarks.hook_cost", "--apart", "--rounds", "7"], "3")]


@pytest.mark.usefixtures("interpreted")
def test_such_a_process_prints_it_last(monkeypatch, capsys):
    monkeypatch.setattr(hook_cost, "use_processors", lambda count: None)
    assert hook_cost.main(["--apart", "--rounds", "1"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed.keys() == {"figures", "steps"}


@pytest.mark.parametrize("option", ["--rounds", "--processes"])
def test_none_is_refused(option, capsys):
    with pytest.raises(SystemExit):
        hook_cost.main([option, "0"])
    assert "at least 1" in capsys.readouterr().err


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
    assert "| one more hook, eager, optimizer | 0.500 | 1 | yes | -0.50, 1.50 |" in text
    assert "| the system in one inner step, eager | 11.000 | 10 | **NO** | 10.00, 12.00 |" in text
    assert "| by hand, eager | 900.0 | 899.0 to 901.0 |" in text
