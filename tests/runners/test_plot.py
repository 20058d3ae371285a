"""Learning curves of several runs in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hookrl.errors import InvalidValue, MissingFile
from hookrl.loggers import Curve, RunDirectory
from hookrl.runners import plot
from hookrl.runners.plot import plot_runs


def finished(path: Path, **config: Any) -> Path:
    run = RunDirectory.create(path, {"run_dir": str(path), **config}, algorithm="ppo")
    logger = run.logger()
    logger.log_metrics({"episode/mean_reward": 1.0, "train/kl": 0.1}, 8)
    logger.close()
    return path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What reaches the drawing instead of being drawn."""
    record: dict[str, Any] = {}

    def draw_curves(curves: list[Curve], out: Path, **options: Any) -> Path:
        record.update(curves=curves, out=out, **options)
        return Path(out)

    monkeypatch.setattr(plot, "draw_curves", draw_curves)
    return record


def test_runs_that_differ_in_their_seed_are_one_curve(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    plot_runs([finished(tmp_path / str(seed), env="A", seed=seed) for seed in range(3)])
    assert [len(curve.tables) for curve in drawn["curves"]] == [3]
    assert drawn["title"] == "PPO · A"


def test_curves_are_named_by_what_their_configs_differ_in(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    plot_runs(
        [
            finished(tmp_path / "a", env="A", gamma=0.9, network={"hidden_sizes": [8]}),
            finished(tmp_path / "b", env="A", gamma=0.9, network={"hidden_sizes": [16]}),
        ]
    )
    labels = [curve.label for curve in drawn["curves"]]
    assert labels == ["network.hidden_sizes=[8]", "network.hidden_sizes=[16]"]


def test_environments_speak_for_themselves(tmp_path: Path, drawn: dict[str, Any]) -> None:
    plot_runs([finished(tmp_path / env, env=env) for env in ("A", "B")])
    assert [curve.label for curve in drawn["curves"]] == ["A", "B"]
    assert drawn["title"] == "PPO"


def test_one_run_is_drawn_into_its_directory(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", env="A")
    assert plot_runs([run]) == run / "learning_curve.png"
    assert (run / "learning_curve.png").stat().st_size > 0


def test_any_metric_can_be_drawn_to_any_file(tmp_path: Path) -> None:
    out = tmp_path / "new" / "kl.svg"
    assert plot_runs([finished(tmp_path / "run")], metric="train/kl", out=out) == out
    assert out.read_text().startswith("<?xml")


def test_no_runs_are_refused() -> None:
    with pytest.raises(InvalidValue, match="expected at least one run directory"):
        plot_runs([])


def test_missing_run_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    with pytest.raises(MissingFile, match="there is no run directory"):
        plot_runs([finished(tmp_path / "run"), tmp_path / "nope"], out=out)
    assert not out.exists()


def test_curves_that_differ_in_too_much_to_read_are_named_by_their_directories(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    many = [f"a_rather_long_field_{index}" for index in range(5)]
    plot_runs([finished(tmp_path / run, **dict.fromkeys(many, run)) for run in ("one", "two")])
    assert [curve.label for curve in drawn["curves"]] == ["one", "two"]
