"""Metrics: means that stay tensors until somebody needs the numbers, and rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from hookrl.errors import InvalidType
from hookrl.hooks.base import Latest, Mean
from hookrl.loggers import Logger
from hookrl.state import same_keys

_MOST_VECTORS = 256
"""That wait for being summed up."""


class RunningMeans:
    """Accumulates mappings of scalars and gives the mean of each name.

    Sums are Python's floats for what is on the host, and tensors in float64 on other devices, which
    are not waited for until `numbers`. What was taken in may change or vanish afterwards. Values
    are numbers, one-element tensors, `Mean` pairs of total and count, or `Latest`, whose last one
    counts.
    """

    def __init__(self) -> None:
        self._totals: dict[str, Any] = {}
        self._counts: dict[str, Any] = {}
        self._names: tuple[str, ...] = ()
        self._vectors: list[torch.Tensor] = []

    def __bool__(self) -> bool:
        return bool(self._totals or self._vectors)

    def add(self, entries: Any) -> None:
        """Take in a mapping (or TensorDict) of scalars.

        Raises:
            InvalidType: for a value that is no scalar.
        """
        totals, counts = self._totals, self._counts
        for name, value in entries.items():
            if name == "log_pbar":  # says how the others are shown
                continue
            # Asking for instances of an abstract class takes ten times as long.
            plain = type(value) is float or isinstance(value, torch.Tensor)
            if not plain and isinstance(value, Latest):
                totals[name], counts[name] = _scalar(name, value.value), 1
                continue
            if not plain and isinstance(value, Mean):
                total, count = _scalar(name, value.total), _scalar(name, value.count)
            else:
                total, count = _scalar(name, value), 1
            if name in totals:
                totals[name] = totals[name] + total
                counts[name] = counts[name] + count
            else:
                totals[name], counts[name] = total, count

    def add_vector(self, names: tuple[str, ...], values: torch.Tensor) -> None:
        """Take in scalars that are in one tensor, float64 ``[names]``, which is not to change."""
        if names != self._names:
            self._unpack()
            self._names = names
        # Summed up later: between two graphs an addition takes longer than all that calls it.
        self._vectors.append(values)
        if len(self._vectors) == _MOST_VECTORS:
            self._unpack()

    def _unpack(self) -> None:
        """Count the vectors under their names."""
        if self._vectors:
            vectors, self._vectors = self._vectors, []
            vector = torch.stack(vectors).sum(0) if len(vectors) > 1 else vectors[0]
            sums = vector.tolist() if vector.device.type == "cpu" else vector.unbind()
            totals, counts = self._totals, self._counts
            for name, total in zip(self._names, sums, strict=True):
                before = name in totals
                totals[name] = totals[name] + total if before else total
                counts[name] = counts[name] + len(vectors) if before else len(vectors)

    def means(self) -> dict[str, Any]:
        """Return the mean of every name since the last `clear`, in order of appearance."""
        self._unpack()
        return {name: total / self._counts[name] for name, total in self._totals.items()}

    def numbers(self) -> dict[str, float]:
        """Return the means as floats; names that nothing was counted for are left out."""
        self._unpack()
        floats = _as_floats([*self._totals.values(), *self._counts.values()])
        totals, counts = floats[: len(self._totals)], floats[len(self._totals) :]
        return {
            name: total / count
            for name, total, count in zip(self._totals, totals, counts, strict=True)
            if count
        }

    def clear(self) -> None:
        """Forget everything."""
        self._totals, self._counts, self._vectors = {}, {}, []

    def state_dict(self) -> dict[str, Any]:
        """Return totals and counts by name."""
        self._unpack()
        return {name: [total, self._counts[name]] for name, total in self._totals.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from totals and counts; a checkpoint has brought those of a device to the host."""
        self.clear()
        for name, (total, count) in state.items():
            self._totals[name], self._counts[name] = _scalar(name, total), _scalar(name, count)


class MetricLog:
    """Averages metrics over an interval of frames and writes one row for each.

    Args:
        logger: where rows go; None: nowhere.
        interval: frames; a row is written when another multiple was reached. 0: never.
    """

    def __init__(self, logger: Logger | None, interval: int) -> None:
        self.progress: dict[str, float] = {}
        """Of the last row, what is to show on the progress bar."""
        self.latest: dict[str, float] = {}
        """Every metric as it was in the last row that had it."""
        self._logger = logger
        self._interval = interval
        self._means = RunningMeans()
        self._on_progress_bar: dict[str, None] = {}
        self._last_row = 0

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Take in metrics; the entry ``log_pbar`` says whether the others show on the bar."""
        if metrics.get("log_pbar"):
            self._on_progress_bar.update(dict.fromkeys(metrics))
        if self._interval:
            self._means.add(metrics)

    def write(self, frames: int, *, force: bool = False) -> dict[str, float]:
        """Write a row if one is due after so many collected frames, or if forced; return it."""
        due = self._interval and frames // self._interval > self._last_row // self._interval
        if not self._means or not (due or force):
            return {}
        row = self._means.numbers()
        self._means.clear()
        self._last_row = frames
        self.latest |= row
        self.progress = {name: row[name] for name in self._on_progress_bar if name in row}
        if self._logger is not None and row:
            self._logger.log_metrics(row, frames)
        return row

    def state_dict(self) -> dict[str, Any]:
        """What was taken in since the last row, and where that was."""
        return {
            "means": self._means.state_dict(),
            "last_row": self._last_row,
            "latest": dict(self.latest),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        same_keys(state, ("means", "last_row", "latest"), owner="MetricLog")
        self._means.load_state_dict(state["means"])
        self._last_row = int(state["last_row"])
        self.latest = dict(state["latest"])


def _as_floats(values: Iterable[Any]) -> list[float]:
    """Turn numbers and one-element tensors into floats with a single device synchronisation."""
    values = list(values)
    tensors = [value.reshape(()).double() for value in values if isinstance(value, torch.Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(read) if isinstance(value, torch.Tensor) else float(value) for value in values]


def _scalar(name: str, value: Any) -> Any:
    """Return a number, or on another device a tensor of its own without dimensions."""
    if type(value) is float or type(value) is int:
        return float(value)
    if isinstance(value, torch.Tensor):
        if value.is_cpu and value.numel() == 1:
            return float(value.item())
        if value.numel() != 1:
            raise InvalidType(
                f"the metric {name!r} is a tensor of shape {tuple(value.shape)}: expected one "
                "element; a logging hook reduces what it reports."
            )
        return value.detach().reshape(()).to(torch.float64, copy=True)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidType(
            f"the metric {name!r} is a {type(value).__name__}: expected a number."
        ) from None
