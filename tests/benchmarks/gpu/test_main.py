import json

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu.works import COMPILED, CUDA_GRAPHS, EAGER


@pytest.fixture
def made(monkeypatch):
    """Which runs were made, instead of making them."""
    calls = []

    def run(name, mode, seed, options, settings):
        calls.append((name, mode, seed))
        return None if mode in failing else {"count": 10, "seconds": 1.0, "fps": 10.0 + seed}

    failing = set()
    monkeypatch.setattr(gpu, "_run", run)
    return calls, failing


def command(tmp_path, *arguments):
    results = ("--results", str(tmp_path / "results"))
    return gpu.main(["ppo_cartpole", "--device", "cpu", *results, *arguments])


def stored(tmp_path):
    return json.loads((tmp_path / "results" / "gpu.json").read_text())


def test_ways_take_turns_and_those_that_the_device_has_not_are_left_out(made, tmp_path):
    assert command(tmp_path, "--repeats", "2") == 0
    assert made[0] == [("ppo_cartpole", m, s) for s in range(2) for m in (EAGER, COMPILED)]
    assert CUDA_GRAPHS not in stored(tmp_path)["runs"]["ppo_cartpole"]


def test_a_second_command_makes_what_is_missing(made, tmp_path):
    command(tmp_path, "--repeats", "1")
    made[0].clear()
    command(tmp_path, "--repeats", "2")
    assert made[0] == [("ppo_cartpole", EAGER, 1), ("ppo_cartpole", COMPILED, 1)]


def test_runs_of_other_settings_do_not_count(made, tmp_path, capsys):
    command(tmp_path, "--repeats", "1")
    made[0].clear()
    command(tmp_path, "--repeats", "1", "--frames", "77")
    assert len(made[0]) == 2
    assert "is replaced" in capsys.readouterr().out


def test_a_way_that_fails_is_left_out_and_the_others_go_on(made, tmp_path):
    made[1].add(COMPILED)
    assert command(tmp_path, "--repeats", "2") == 1
    assert made[0] == [("ppo_cartpole", m, s) for m, s in ((EAGER, 0), (COMPILED, 0), (EAGER, 1))]


def test_without_a_gpu_nothing_is_stored_and_the_device_is_named(made, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "RESULTS_DIR", None)
    assert gpu.main(["--device", "cpu", "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    assert "on the CPU" in text
    assert "nothing is stored" in text
    assert "| PPO on Pendulum as tensors: the same | frames/s |" in text


def test_a_device_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        gpu.main(["--device", "meta:x"])
    assert "--device meta:x" in capsys.readouterr().err


def test_an_unknown_work_is_refused(capsys):
    with pytest.raises(SystemExit):
        gpu.main(["ppo_cartpol", "--device", "cpu"])
    assert "unknown work 'ppo_cartpol'" in capsys.readouterr().err


def test_the_report_names_the_device(made, tmp_path):
    command(tmp_path, "--repeats", "3")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "On **the CPU**." in text
    assert "11 (10 to 12) | 11 (10 to 12), ×1.00 |" in text
