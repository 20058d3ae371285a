"""What a logger is: somewhere to write metrics, along the one axis of collected frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Logger(ABC):
    """Somewhere to write metrics.

    Loggers open what they write to at the first write, and again after `close`: building one
    leaves no trace, and training can go on after it was torn down.
    """

    @abstractmethod
    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Write `metrics`, as they were after `step` environment frames."""

    def log_scalar(self, name: str, value: float, step: int) -> None:
        """Write one metric."""
        self.log_metrics({name: value}, step)

    def log_config(self, config: Mapping[str, Any]) -> None:  # noqa: B027
        """Write the configuration of the run; a logger without a place for it ignores it."""

    def close(self) -> None:  # noqa: B027
        """Write out what is buffered and release files; closing twice is fine."""

    def state_dict(self) -> dict[str, Any]:
        """Return where the log stands, so that a resumed run goes on from there."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:  # noqa: B027
        """Go on from where `state_dict` was taken; what was written after it is superseded."""
