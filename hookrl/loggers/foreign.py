"""Loggers made elsewhere, torchrl's above all, behind hookrl's interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookrl.errors import InvalidType
from hookrl.loggers.base import Logger
from hookrl.loggers.group import LoggerGroup


class ForeignLogger(Logger):
    """A logger that has ``log_scalar(name, value, step=...)``, as torchrl's have.

    Anything else it offers (``log_video``, ``experiment``) is reached through this object, so that
    hooks written for it find what they expect.

    Args:
        logger: the object to write to.
    """

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def __getattr__(self, name: str) -> Any:
        if name == "logger":  # while unpickling, before there is one
            raise AttributeError(name)
        return getattr(self.logger, name)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Write every metric by ``log_scalar``."""
        for name, value in metrics.items():
            self.logger.log_scalar(name, float(value), step=step)

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Hand the configuration to ``log_hparams``, where there is one."""
        if hasattr(self.logger, "log_hparams"):
            self.logger.log_hparams(dict(config))

    def close(self) -> None:
        """Call ``close``, where there is one."""
        if hasattr(self.logger, "close"):
            self.logger.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the logger's own state, where it has one."""
        return dict(self.logger.state_dict()) if hasattr(self.logger, "state_dict") else {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Hand the logger its own state, where it takes one."""
        if hasattr(self.logger, "load_state_dict"):
            self.logger.load_state_dict(state_dict)


def as_logger(logger: Any) -> Logger | None:
    """Return `logger` behind hookrl's interface.

    Args:
        logger: a hookrl logger, returned as it is; one with ``log_scalar``, wrapped; several of
            them in a list or tuple, grouped; or None, which stays None.

    Raises:
        InvalidType: for anything else.
    """
    if logger is None or isinstance(logger, Logger):
        return logger
    if isinstance(logger, (list, tuple)):
        members = [as_logger(member) for member in logger]
        return LoggerGroup(member for member in members if member is not None)
    if callable(getattr(logger, "log_scalar", None)) and not isinstance(logger, type):
        return ForeignLogger(logger)
    raise InvalidType(
        f"logger is {_kind(logger)}: expected a hookrl Logger or an object with "
        "log_scalar(name, value, step=...)."
    )


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
