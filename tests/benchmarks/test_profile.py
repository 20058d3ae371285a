import dataclasses

import pytest

from benchmarks import profile
from benchmarks.profile_report import section
from benchmarks.works import WORKS

WORK = WORKS["ppo_cartpole"]
SMALL = dataclasses.replace(
    WORK, config=dataclasses.replace(WORK.config, num_envs=2, steps_per_env=16)
)


@pytest.fixture(scope="module")
def found():
    return profile.measure(SMALL, WORK.side("hookrl"), 1024, 64)


def test_parts_are_the_whole_without_the_beginning(found):
    assert found["frames"] == 1024 - 224  # 7 batches of 32 are the first fifth
    assert sum(found["parts"].values()) == pytest.approx(found["seconds"], abs=1e-3)


def test_collecting_hooks_and_loss_are_told_apart(found):
    named = {"collecting", "loss", "batch_process/value_estimation", "optimizer/optimizer.backward"}
    assert named <= found["parts"].keys()
    assert all(seconds >= 0 for seconds in found["parts"].values())


def test_small_parts_are_added_up():
    parts = {"collecting": 0.6, "loss": 0.396, "one": 0.003, "two": 0.001, "none": 0.0}
    about = {"machine": {"cpu": "some"}, "versions": {"python": "3"}}
    text = section("a_work", {"hookrl": {"frames": 1000, "seconds": 1.0, "parts": parts, **about}})
    assert "hookrl, 1,000 frames/s" in text
    assert "| collecting | 600.00 | 60.0% |" in text
    assert "| 2 smaller parts | 4.00 | 0.4% |" in text
    assert "none" not in text


def test_what_was_measured_is_kept_beside_other_works(tmp_path, monkeypatch, capsys):
    about = {"machine": {"cpu": "some"}, "versions": {"python": "3"}}
    result = {"frames": 10, "seconds": 1.0, "parts": {"collecting": 1.0}, **about}
    monkeypatch.setattr(profile, "_run", lambda *_: result)
    for work in ("ppo_cartpole", "dqn_cartpole"):
        profile.main([work, "--sides", "hookrl", "--results", str(tmp_path / "results")])
    text = (tmp_path / "RESULTS.md").read_text()
    assert "## ppo_cartpole: parts" in text
    assert "## dqn_cartpole: parts" in text
