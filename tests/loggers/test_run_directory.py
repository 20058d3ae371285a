"""What a run leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hookrl import __version__
from hookrl.errors import ExistingFile, InvalidValue, MissingFile
from hookrl.loggers import RunDirectory


def test_config_is_read_back(tmp_path: Path) -> None:
    created = RunDirectory.create(tmp_path / "a" / "run", {"gamma": 0.9}, algorithm="ppo")
    opened = RunDirectory.open(created.path)
    assert (opened.algorithm, opened.hookrl_version, opened.config) == (
        "ppo",
        __version__,
        {"gamma": 0.9},
    )


def test_logger_writes_metrics_and_events(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {}, algorithm="ppo")
    logger = run.logger()
    logger.log_metrics({"a": 1.0}, 8)
    logger.close()
    assert run.metrics() == {"frames": [8], "a": [1.0]}
    assert len(list(run.tensorboard_directory.glob("events.out.tfevents.*"))) == 1


def test_directory_that_is_not_empty_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ExistingFile, match="exists and is not empty"):
        RunDirectory.create(tmp_path, {}, algorithm="ppo")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_overwriting_removes_only_what_a_run_writes(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {"seed": 0}, algorithm="ppo")
    logger = run.logger()
    logger.log_metrics({"a": 1.0}, 8)
    logger.close()
    torch.save({}, run.weights_file)
    (tmp_path / "notes.txt").write_text("mine")
    RunDirectory.create(tmp_path, {"seed": 1}, algorithm="ppo", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "notes.txt"}
    assert run.config == {"seed": 1}


def test_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.touch()
    with pytest.raises(ExistingFile, match="is a file"):
        RunDirectory.create(path, {}, algorithm="ppo", overwrite=True)


def test_config_that_json_cannot_hold_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="can't be written as JSON"):
        RunDirectory.create(tmp_path / "run", {"env": object()}, algorithm="ppo")
    assert not any(tmp_path.iterdir())


def test_opening_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="there is no run directory"):
        RunDirectory.open(tmp_path / "nope")


def test_opening_another_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="is not a run directory"):
        RunDirectory.open(tmp_path)


def test_damaged_config_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {}, algorithm="ppo")
    run.config_file.write_text("{")
    with pytest.raises(InvalidValue, match=r"config\.json can't be read"):
        _ = run.config


def test_run_without_metrics_or_weights_says_so(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {}, algorithm="ppo")
    with pytest.raises(MissingFile, match="has no metrics yet"):
        run.metrics()
    with pytest.raises(MissingFile, match="has no weights yet"):
        run.load_weights()


def test_weights_are_read_back(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, {}, algorithm="ppo")
    torch.save({"actor_critic": {"w": torch.ones(2)}}, run.weights_file)
    assert torch.equal(run.load_weights()["actor_critic"]["w"], torch.ones(2))
