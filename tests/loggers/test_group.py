"""Several loggers as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hookrl.errors import InvalidValue
from hookrl.loggers import Logger, LoggerGroup


class Recorder(Logger):
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[Any] = []

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.calls.append((dict(metrics), step))

    def log_config(self, config: Mapping[str, Any]) -> None:
        self.calls.append(dict(config))

    def close(self) -> None:
        self.calls.append("close")
        if self.error is not None:
            raise self.error

    def state_dict(self) -> dict[str, Any]:
        return {"calls": len(self.calls)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.calls.append(state_dict)


def test_everything_reaches_every_logger() -> None:
    first, second = Recorder(), Recorder()
    group = LoggerGroup([first, second])
    group.log_metrics({"a": 1.0}, 8)
    group.log_scalar("b", 2.0, 16)
    group.log_config({"gamma": 0.9})
    assert first.calls == second.calls == [({"a": 1.0}, 8), ({"b": 2.0}, 16), {"gamma": 0.9}]


def test_all_are_closed_although_one_raises() -> None:
    first, second = Recorder(OSError("disk full")), Recorder()
    with pytest.raises(OSError, match="disk full"):
        LoggerGroup([first, second]).close()
    assert second.calls == ["close"]


def test_several_errors_of_closing_are_all_raised() -> None:
    group = LoggerGroup([Recorder(OSError("one")), Recorder(OSError("two"))])
    with pytest.raises(ExceptionGroup, match="could not be closed") as caught:
        group.close()
    assert [str(error) for error in caught.value.exceptions] == ["one", "two"]


def test_each_logger_gets_its_own_state_back() -> None:
    first, second = Recorder(), Recorder()
    group = LoggerGroup([first, second])
    first.log_scalar("a", 1.0, 1)
    state = group.state_dict()
    group.load_state_dict(state)
    assert (first.calls[-1], second.calls[-1]) == ({"calls": 1}, {"calls": 0})


def test_state_of_another_number_of_loggers_is_refused() -> None:
    with pytest.raises(InvalidValue, match="of 2 loggers: this group has 1"):
        LoggerGroup([Recorder()]).load_state_dict({"loggers": [{}, {}]})
