"""Metrics: means that stay tensors until somebody needs the numbers, and rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from hookrl.errors import InvalidType
from hookrl.hooks.base import Latest, Mean
from hookrl.loggers import Logger
from hookrl.state import same_keys

_FOLD_AT = 256
"""Entries kept before they are summed, which bounds memory however long an interval is."""


class RunningMeans:
    """Accumulates mappings of scalars and gives the mean of each name.

    Adding costs one list append; nothing is computed and no device is waited for until `means`.
    Values may be numbers, one-element tensors, `Mean` pairs of total and count, or `Latest`, whose
    "mean" is the last one.
    """

    def __init__(self) -> None:
        self._recent: list[Any] = []
        self._totals: dict[str, Any] = {}
        self._counts: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._recent or self._totals)

    def add(self, entries: Any) -> None:
        """Take in a mapping (or TensorDict) of scalars."""
        self._recent.append(entries)
        if len(self._recent) >= _FOLD_AT:
            self._fold()

    def means(self) -> dict[str, Any]:
        """Return the mean of every name since the last `clear`, in order of appearance."""
        self._fold()
        return {name: total / self._counts[name] for name, total in self._totals.items()}

    def numbers(self) -> dict[str, float]:
        """Return the means as floats; names that nothing was counted for are left out."""
        self._fold()
        floats = _as_floats([*self._totals.values(), *self._counts.values()])
        totals, counts = floats[: len(self._totals)], floats[len(self._totals) :]
        return {
            name: total / count
            for name, total, count in zip(self._totals, totals, counts, strict=True)
            if count
        }

    def clear(self) -> None:
        """Forget everything."""
        self._recent, self._totals, self._counts = [], {}, {}

    def state_dict(self) -> dict[str, Any]:
        """Return totals and counts by name."""
        self._fold()
        return {name: [total, self._counts[name]] for name, total in self._totals.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from totals and counts."""
        self.clear()
        for name, (total, count) in state.items():
            self._totals[name], self._counts[name] = total, count

    def _fold(self) -> None:
        columns: dict[str, list[Any]] = {}
        for entries in self._recent:
            for name, value in entries.items():
                columns.setdefault(name, []).append(value)
        self._recent = []
        for name, values in columns.items():
            if isinstance(values[-1], Latest):
                self._totals[name], self._counts[name] = values[-1].value, 1
                continue
            total, count = _sum(name, values)
            self._totals[name] = self._totals.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0) + count


class MetricLog:
    """Averages metrics over an interval of frames and writes one row for each.

    Args:
        logger: where rows go; None: nowhere.
        interval: frames; a row is written when another multiple was reached. 0: never.
    """

    def __init__(self, logger: Logger | None, interval: int) -> None:
        self.progress: dict[str, float] = {}
        """Of the last row, what is to show on the progress bar."""
        self._logger = logger
        self._interval = interval
        self._means = RunningMeans()
        self._on_progress_bar: dict[str, None] = {}
        self._last_row = 0

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Take in metrics; the entry ``log_pbar`` says whether the others show on the bar."""
        if "log_pbar" in metrics:
            metrics = dict(metrics)
            if metrics.pop("log_pbar"):
                self._on_progress_bar.update(dict.fromkeys(metrics))
        if self._interval:
            self._means.add(metrics)

    def write(self, frames: int, *, force: bool = False) -> None:
        """Write a row if one is due after so many collected frames, or if forced."""
        due = self._interval and frames // self._interval > self._last_row // self._interval
        if not self._means or not (due or force):
            return
        row = self._means.numbers()
        self._means.clear()
        self._last_row = frames
        self.progress = {name: row[name] for name in self._on_progress_bar if name in row}
        if self._logger is not None and row:
            self._logger.log_metrics(row, frames)

    def state_dict(self) -> dict[str, Any]:
        """What was taken in since the last row, and where that was."""
        return {"means": self._means.state_dict(), "last_row": self._last_row}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        same_keys(state, ("means", "last_row"), owner="MetricLog")
        self._means.load_state_dict(state["means"])
        self._last_row = int(state["last_row"])


def _as_floats(values: Iterable[Any]) -> list[float]:
    """Turn numbers and one-element tensors into floats with a single device synchronisation."""
    values = list(values)
    tensors = [value.reshape(()).double() for value in values if isinstance(value, torch.Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(read) if isinstance(value, torch.Tensor) else float(value) for value in values]


def _sum(name: str, values: list[Any]) -> tuple[Any, Any]:
    pairs = [value for value in values if isinstance(value, Mean)]
    if pairs:
        return sum(pair.total for pair in pairs), sum(pair.count for pair in pairs)
    if all(isinstance(value, torch.Tensor) for value in values):
        if any(value.numel() != 1 for value in values):
            shape = next(tuple(value.shape) for value in values if value.numel() != 1)
            raise InvalidType(
                f"the metric {name!r} is a tensor of shape {shape}: expected one element; a "
                "logging hook reduces what it reports."
            )
        scalars = [value.detach().reshape(()).double() for value in values]
        return torch.stack(scalars).sum(), len(values)
    try:
        return sum(float(value) for value in values), len(values)
    except (TypeError, ValueError):
        kinds = ", ".join(sorted({type(value).__name__ for value in values}))
        raise InvalidType(f"the metric {name!r} is a {kinds}: expected numbers.") from None
