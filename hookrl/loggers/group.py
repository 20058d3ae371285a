"""Several loggers as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hookrl.errors import InvalidValue
from hookrl.loggers.base import Logger


class LoggerGroup(Logger):
    """Writes everything to each of its loggers.

    Args:
        loggers: in the order in which they are written to.
    """

    def __init__(self, loggers: Iterable[Logger]) -> None:
        self.loggers = list(loggers)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Write `metrics` to every logger."""
        for logger in self.loggers:
            logger.log_metrics(metrics, step)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Write `config` to every logger."""
        for logger in self.loggers:
            logger.log_config(config)

    def close(self) -> None:
        """Close every logger, also when one of them raises; its error is raised at the end."""
        errors: list[Exception] = []
        for logger in self.loggers:
            try:
                logger.close()
            except Exception as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several loggers could not be closed", errors)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every logger, in order."""
        return {"loggers": [logger.state_dict() for logger in self.loggers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load the state of every logger.

        Raises:
            InvalidValue: if it is the state of another number of loggers.
        """
        states = state_dict["loggers"]
        if len(states) != len(self.loggers):
            raise InvalidValue(
                f"the state is of {len(states)} loggers: this group has {len(self.loggers)}."
            )
        for logger, state in zip(self.loggers, states, strict=True):
            logger.load_state_dict(state)
