"""Metrics as one CSV file: a row per frame count, a column per metric.

The file is complete after every row, and stays one table although nobody knows the columns in
advance: a metric that appears late widens the header, for which the file is rewritten beside and
swapped in. Rows go through one at a time, so memory stays bounded however long the run is.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from hookrl.errors import InvalidValue
from hookrl.files import replacing
from hookrl.loggers.base import Logger

STEP = "frames"
"""The first column of every file."""


class CSVLogger(Logger):
    """Writes metrics to a CSV file whose first column is ``frames``.

    Metrics of one step share a row, in however many calls they come; a later value of the same
    metric wins. Steps may not go back. Missing cells are empty, and numbers are written so that
    they read back to the same bit. An existing file is continued.

    Args:
        path: the file; its directory is made when the first row is written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: IO[bytes] | None = None
        self._columns: list[str] = [STEP]
        self._row: dict[str, str] = {}
        self._row_start = 0
        self._resume_at: int | None = None

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Write `metrics` into the row of `step`.

        Raises:
            InvalidValue: if `step` lies before the last row.
        """
        cells = {name: repr(float(value)) for name, value in metrics.items() if name != STEP}
        file = self._file or self._open()
        last = int(self._row[STEP]) if self._row else step
        if step < last:
            raise InvalidValue(
                f"a row for {step} frames can't follow the one for {last} in {self.path}: expected "
                "increasing frames (a new run needs a new file)."
            )
        if new := [name for name in cells if name not in self._columns]:
            file = self._widen(new)
        if self._row and step == last:
            self._row.update(cells)
        else:
            self._row_start = file.seek(0, io.SEEK_END)
            self._row = {STEP: str(step), **cells}
        file.seek(self._row_start)
        file.write(_line(self._row.get(column, "") for column in self._columns))
        file.truncate()
        file.flush()

    def close(self) -> None:
        """Close the file; the next row opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def state_dict(self) -> dict[str, Any]:
        """Return the frames of the last row."""
        if self._resume_at is not None:
            return {"step": self._resume_at}
        if self._file is None and self.path.exists():
            self._open()  # an existing file is continued: its rows count
        return {"step": int(self._row[STEP]) if self._row else -1}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on after that row: later ones are dropped when the next is written."""
        step = int(state_dict["step"])
        self.close()
        self._resume_at = step

    def _open(self) -> IO[bytes]:
        """Open the file at its last whole row that belongs to this run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        limit, self._resume_at = self._resume_at, None
        if not self.path.exists() or not self.path.stat().st_size:
            self.path.write_bytes(_line([STEP]))
        self._file = file = self.path.open("r+b")
        self._columns = _header(file.readline(), self.path)
        self._row, self._row_start, end = {}, file.tell(), file.tell()
        for line in file:
            row = _cells(self._columns, line)
            # A line that a killed process wrote half of, or one after the resumed checkpoint.
            if not line.endswith(b"\n") or (limit is not None and int(row[STEP]) > limit):
                break
            self._row, self._row_start = row, end
            end += len(line)
        file.seek(end)
        file.truncate()
        return file

    def _widen(self, new: list[str]) -> IO[bytes]:
        """Rewrite the file with more columns, and open that."""
        columns = [*self._columns, *new]
        padding = b"," * len(new) + b"\n"
        self.close()
        with replacing(self.path) as temporary:
            self._row_start = _copy_widened(self.path, temporary, _line(columns), padding)
        self._columns = columns
        self._file = self.path.open("r+b")
        return self._file


def _copy_widened(old: Path, new: Path, header: bytes, padding: bytes) -> int:
    """Copy a table line by line under another header; where the last row starts."""
    start = 0
    with old.open("rb") as source, new.open("wb") as target:
        source.readline()
        target.write(header)
        for line in source:
            start = target.tell()
            target.write(line.removesuffix(b"\n") + padding)
    return start


def read_metrics(path: str | Path) -> dict[str, list[float]]:
    """Read what a `CSVLogger` wrote: one list per column, NaN where a cell is empty.

    A last line that is still being written is left out.

    Raises:
        InvalidValue: if the file is not such a table.
    """
    path = Path(path)
    with path.open("rb") as file:
        columns = _header(file.readline(), path)
        metrics: dict[str, list[float]] = {column: [] for column in columns}
        for line in file:
            if not line.endswith(b"\n"):
                break
            for column, cell in _cells(columns, line).items():
                metrics[column].append(float(cell) if cell else math.nan)
    return metrics


def _header(line: bytes, path: Path) -> list[str]:
    columns = next(csv.reader([line.decode()]), [])
    if columns[:1] != [STEP]:
        raise InvalidValue(f"{path} is not a table of metrics: expected a first column {STEP!r}.")
    return columns


def _cells(columns: list[str], line: bytes) -> dict[str, str]:
    # Below the header there are only numbers: nothing is ever quoted.
    return dict(zip(columns, line.decode().rstrip("\n").split(","), strict=False))


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(_one_line(cells))
    return text.getvalue().encode()


def _one_line(cells: Iterable[str]) -> Iterator[str]:
    return (cell.replace("\n", " ").replace("\r", " ") for cell in cells)
