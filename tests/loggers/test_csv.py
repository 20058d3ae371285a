"""Metrics as one CSV file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrl.errors import InvalidValue
from hookrl.loggers import CSVLogger, read_metrics


def test_frames_are_the_first_column(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": 1.0, "b": 2.0}, 8)
    assert logger.path.read_text() == "frames,a,b\n8,1.0,2.0\n"


def test_building_one_leaves_no_trace(tmp_path: Path) -> None:
    CSVLogger(tmp_path / "deep" / "metrics.csv").close()
    assert not any(tmp_path.iterdir())


def test_every_row_is_on_disk_before_the_logger_is_closed(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": 1.0}, 8)
    assert read_metrics(logger.path) == {"frames": [8], "a": [1.0]}


def test_late_column_widens_the_table_and_keeps_what_was_there(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": 1.0}, 8)
    logger.log_metrics({"b": 2.0}, 16)
    logger.log_metrics({"a": 3.0}, 24)
    assert logger.path.read_text() == "frames,a,b\n8,1.0,\n16,,2.0\n24,3.0,\n"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_metrics_of_one_step_share_a_row(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": 1.25}, 8)
    logger.log_metrics({"a": 2.0, "b": 5.0}, 16)
    logger.log_metrics({"c": 3.0}, 16)
    logger.log_metrics({"b": 4.0}, 16)
    assert logger.path.read_text() == "frames,a,b,c\n8,1.25,,\n16,2.0,4.0,3.0\n"


def test_a_shorter_value_replaces_a_longer_one_whole(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": 1.23456789}, 8)
    logger.log_metrics({"a": 2.0}, 8)
    assert logger.path.read_text() == "frames,a\n8,2.0\n"


def test_steps_that_go_back_are_refused(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": 1.0}, 16)
    before = logger.path.read_text()
    with pytest.raises(InvalidValue, match="8 frames can't follow the one for 16"):
        logger.log_metrics({"a": 1.0}, 8)
    assert logger.path.read_text() == before


@given(values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_numbers_read_back_to_the_same_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    logger = CSVLogger(tmp_path_factory.mktemp("csv") / "metrics.csv")
    for step, value in enumerate(values):
        logger.log_scalar("a", value, step)
    logger.close()
    read = read_metrics(logger.path)["a"]
    assert [value.hex() for value in read] == [value.hex() for value in values]


def test_missing_and_undefined_values_read_as_nan(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": math.nan, "b": math.inf}, 8)
    logger.log_metrics({}, 16)
    metrics = read_metrics(logger.path)
    assert all(math.isnan(value) for value in metrics["a"])
    assert metrics["b"][0] == math.inf
    assert math.isnan(metrics["b"][1])


def test_a_name_with_commas_and_quotes_survives(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({'a,"b"': 1.0}, 8)
    logger.close()
    CSVLogger(logger.path).log_metrics({'a,"b"': 2.0}, 16)
    assert read_metrics(logger.path) == {"frames": [8, 16], 'a,"b"': [1.0, 2.0]}


def test_logging_goes_on_after_close(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"a": 1.0}, 8)
    logger.close()
    logger.close()
    logger.log_metrics({"b": 2.0}, 8)
    assert read_metrics(logger.path) == {"frames": [8], "a": [1.0], "b": [2.0]}


def test_half_a_row_left_by_a_killed_process_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("frames,a\n8,1.0\n16,2")
    assert read_metrics(path) == {"frames": [8], "a": [1.0]}
    CSVLogger(path).log_metrics({"a": 3.0}, 16)
    assert path.read_text() == "frames,a\n8,1.0\n16,3.0\n"


def test_resuming_drops_the_rows_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    logger = CSVLogger(path)
    logger.log_metrics({"a": 1.0}, 8)
    state = logger.state_dict()
    logger.log_metrics({"a": 2.0}, 16)
    logger.log_metrics({"a": 3.0}, 24)
    logger.close()

    resumed = CSVLogger(path)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    resumed.log_metrics({"a": 2.5}, 16)
    assert read_metrics(path) == {"frames": [8, 16], "a": [1.0, 2.5]}


def test_state_of_a_logger_on_an_existing_file_counts_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    CSVLogger(path).log_metrics({"a": 1.0}, 8)
    assert CSVLogger(path).state_dict() == {"step": 8}


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("name,price\n")
    with pytest.raises(InvalidValue, match="expected a first column 'frames'"):
        CSVLogger(path).log_metrics({"a": 1.0}, 8)
    assert path.read_text() == "name,price\n"
