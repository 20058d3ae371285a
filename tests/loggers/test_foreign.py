"""Loggers made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torchrl.record.loggers import CSVLogger as TorchRLCSVLogger

from hookrl.errors import InvalidType
from hookrl.loggers import CSVLogger, LoggerGroup, as_logger


class Minimal:
    video = "a video"

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def log_scalar(self, name: str, value: float, step: int | None = None) -> None:
        self.calls.append((name, value, step))


def test_a_hookrl_logger_is_returned_as_it_is(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "metrics.csv")
    assert as_logger(logger) is logger


def test_none_stays_none() -> None:
    assert as_logger(None) is None


def test_metrics_reach_log_scalar_one_by_one() -> None:
    foreign = Minimal()
    logger = as_logger(foreign)
    assert logger is not None
    logger.log_metrics({"a": 1.0, "b": 2.0}, 8)
    assert foreign.calls == [("a", 1.0, 8), ("b", 2.0, 8)]


def test_what_a_foreign_logger_lacks_is_left_out() -> None:
    logger = as_logger(Minimal())
    assert logger is not None
    logger.log_config({"gamma": 0.9})
    logger.close()
    assert logger.state_dict() == {}


def test_what_else_a_foreign_logger_has_is_reached_through_it() -> None:
    assert as_logger(Minimal()).video == "a video"  # type: ignore[union-attr]


def test_torchrl_logger_writes_config_and_metrics(tmp_path: Path) -> None:
    logger = as_logger(TorchRLCSVLogger("run", log_dir=str(tmp_path)))
    assert logger is not None
    logger.log_config({"gamma": 0.9})
    logger.log_metrics({"a": 1.5}, 8)
    logger.close()
    assert (tmp_path / "run" / "scalars" / "a.csv").read_text().strip() == "8,1.5"


def test_several_loggers_become_a_group(tmp_path: Path) -> None:
    group = as_logger([CSVLogger(tmp_path / "metrics.csv"), Minimal()])
    assert isinstance(group, LoggerGroup)
    assert len(group.loggers) == 2


@pytest.mark.parametrize(("value", "kind"), [("wandb", "a str"), (Minimal, "the class Minimal")])
def test_anything_else_is_refused(value: Any, kind: str) -> None:
    with pytest.raises(InvalidType, match=f"logger is {kind}: expected a hookrl Logger"):
        as_logger(value)
