import json

import pytest

from benchmarks import report
from benchmarks.scaling.axes import AXES
from benchmarks.works import WORKS


def side(*speeds, score=100.0, on="torch", **config):
    return {
        "settings": {
            "frames": 1000,
            "warm_up": 100,
            "threads": 1,
            "machine": {"cpu": "some", "cores": "2"},
            "versions": {"python": "3", on: "2"},
            "config": {"env": "CartPole-v1", "compile": False, **config},
        },
        "runs": {
            str(seed): {
                **dict.fromkeys(("fps", "fps_cpu", "fps_whole"), fps),
                "score": score + seed,
                "load": 0.5,
            }
            for seed, fps in enumerate(speeds)
        },
    }


@pytest.fixture
def text(tmp_path):
    """What is reported of one work."""
    sides = {
        "hookrl": side(30.0, 20.0),
        "hookrl-captured": side(60.0, 40.0, compile=True),
        "peer": side(10.0, 10.0, score=900.0),
        "other": side(50.0, 50.0, on="jax"),
    }
    about = {
        "title": "Some training",
        "threads": 1,
        "ours": ["hookrl", "hookrl-captured"],
        "notes": ["Mind this."],
    }
    results = tmp_path / "results"
    results.mkdir()
    content = {"about": about, "sides": sides}
    (results / "ppo_cartpole.json").write_text(json.dumps(content))
    return report.write_report(results).read_text()


def test_the_table_has_every_side_beside_the_best_peers(text):
    lines = text.splitlines()
    row = "| ppo_cartpole | **hookrl** | 25 (20 to 30) | 2.50 | 0.50 | 25 | 25 | 100.5 |  |"
    assert row in lines
    assert (
        "|  | **hookrl-captured** | 50 (40 to 60) | 5.00 | 1.00 | 50 | 50 | 100.5 | yes |" in lines
    )


def test_returns_that_do_not_agree_stand_out(text):
    assert (
        "|  | peer | 10 (10 to 10) | 1.00 | 0.20 | 10 | 10 | 900.5 | **NO** |" in text.splitlines()
    )


def test_a_section_has_turns_notes_and_every_run(text):
    assert "- hookrl over peer: **2.50** by medians; within turns 3.00, 2.00" in text
    assert "- hookrl over other: **0.50** by medians; within turns 0.60, 0.40" in text
    assert "- Mind this." in text
    assert "| hookrl | 30, 100.0 | 20, 101.0 |" in text


def test_settings_are_given_once_and_what_differs_from_them(text):
    assert text.count('"env": "CartPole-v1"') == 1
    assert '- hookrl-captured: the same, but `{"compile": true}`' in text


def test_the_figure_is_drawn(text, tmp_path):
    assert "](figures/speed.png)" in text
    assert (tmp_path / report.FIGURE).read_bytes().startswith(b"\x89PNG")


def test_the_repository_has_no_results_of_works_that_are_gone():
    kept = {path.stem for path in report.RESULTS_DIR.glob("*.json")}
    kept -= {f"scaling_{name}" for name in AXES}
    assert kept <= {*WORKS, report.PROFILES, "checkpoint", "gpu", "hook_cost", "long_run"}
