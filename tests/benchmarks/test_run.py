import json

import pytest

from benchmarks import results, run
from benchmarks.works import WORKS

WORK = WORKS["ppo_cartpole"]


@pytest.fixture
def made(monkeypatch):
    """Which runs were made, instead of making them; the third value of a failing one is None."""
    calls = []

    def one(work, side, seed, frames, warm_up):
        calls.append((side.name, seed))
        if side.name in failing:
            return None
        figures = dict.fromkeys(("fps", "fps_cpu", "fps_whole"), 100.0 + seed)
        return {**figures, "seconds": 1.0, "frames": frames, "score": 10.0, "load": 0.5}

    failing = set()
    calls_and_failing = (calls, failing)
    monkeypatch.setattr(run, "_run", one)
    for module in (run, results):
        monkeypatch.setattr(module, "missing", lambda packages: [])
    monkeypatch.setattr(results, "package_versions", lambda packages: {"python": "3"})
    return calls_and_failing


def command(tmp_path, *arguments):
    return run.main(["ppo_cartpole", "--results", str(tmp_path / "results"), *arguments])


def stored(tmp_path):
    return json.loads((tmp_path / "results" / "ppo_cartpole.json").read_text())["sides"]


def test_sides_take_turns(made, tmp_path):
    assert command(tmp_path, "--sides", "hookrl", "stable-baselines3", "--repeats", "2") == 0
    assert made[0] == [(s, n) for n in range(2) for s in ("hookrl", "stable-baselines3")]


def test_a_second_command_makes_what_is_missing(made, tmp_path):
    command(tmp_path, "--sides", "hookrl", "--repeats", "1")
    made[0].clear()
    command(tmp_path, "--sides", "hookrl", "hookrl-captured", "--repeats", "2")
    assert made[0] == [("hookrl-captured", 0), ("hookrl", 1), ("hookrl-captured", 1)]


def test_fresh_forgets_what_is_there(made, tmp_path):
    command(tmp_path, "--sides", "hookrl", "hookrl-captured", "--repeats", "1")
    made[0].clear()
    command(tmp_path, "--sides", "hookrl", "--repeats", "1", "--fresh")
    assert made[0] == [("hookrl", 0)]
    assert not stored(tmp_path)["hookrl-captured"]["runs"]


def test_runs_of_other_settings_do_not_count(made, tmp_path, capsys):
    command(tmp_path, "--sides", "hookrl", "--repeats", "1")
    made[0].clear()
    command(tmp_path, "--sides", "hookrl", "--repeats", "1", "--frames", "1000")
    assert made[0] == [("hookrl", 0)]
    assert "runs of hookrl no longer count" in capsys.readouterr().out


def test_runs_are_stored_one_by_one(made, tmp_path, monkeypatch):
    def interrupted(work, side, seed, figures):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_line", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command(tmp_path, "--repeats", "1")
    assert [*stored(tmp_path)["hookrl"]["runs"]] == ["0"]


def test_a_side_that_fails_is_left_out_and_the_others_go_on(made, tmp_path):
    made[1].add("hookrl")
    arguments = ("--sides", "hookrl", "stable-baselines3", "--repeats", "2")
    assert command(tmp_path, *arguments) == 1
    assert made[0] == [("hookrl", 0), ("stable-baselines3", 0), ("stable-baselines3", 1)]


def test_a_peer_that_is_not_installed_is_named_and_keeps_its_runs(
    made, tmp_path, capsys, monkeypatch
):
    command(tmp_path, "--sides", "hookrl", "stable-baselines3", "--repeats", "1")
    made[0].clear()
    for module in (run, results):
        monkeypatch.setattr(
            module, "missing", lambda names: [n for n in names if n == "stable-baselines3"]
        )
    sides = ("--sides", "hookrl", "stable-baselines3")
    command(tmp_path, *sides, "--repeats", "2")
    assert made[0] == [("hookrl", 1)]
    text = capsys.readouterr().out
    assert "stable-baselines3 is left out: stable-baselines3 not installed" in text
    assert [*stored(tmp_path)["stable-baselines3"]["runs"]] == ["0"]


def test_an_unknown_work_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run.main(["ppo_cartpol", "--results", str(tmp_path)])
    assert "unknown work 'ppo_cartpol'" in capsys.readouterr().err


def test_works_that_need_more_processors_are_left_out(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run, "processors", lambda: 1)
    run.main(["ppo_tensor_cartpole_2_threads", "--results", str(tmp_path / "results")])
    assert "needs 2 processors" in capsys.readouterr().out
    assert not made[0]


def test_a_run_that_is_over_before_it_learns_is_refused(tmp_path, capsys):
    arguments = ["sac_halfcheetah", "--results", str(tmp_path), "--frames"]
    with pytest.raises(SystemExit):
        run.main([*arguments, "5000"])
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith(
        "--frames 5000 of sac_halfcheetah: expected more than 5,000, since learning starts at "
        "1,000 and the first 20% are left out."
    )


def test_every_work_learns_before_it_is_timed(made, tmp_path):
    assert run.main([*WORKS, "--results", str(tmp_path), "--sides", "rsl-rl"]) == 0
