"""Tables of rows, one for each entry of a transition, in the memory they are asked to live in.

On the host a row is written and gathered through NumPy views: for a batch of 256 that takes a third
of what torch's indexing takes. With a directory the memory is a file's, so a table may be larger
than the machine's memory. The file has no name: nothing is left behind when the process dies, and
two buffers may share a directory.

A table on the host stays where it is when it grows, so that a compiled graph may read it: addresses
for all it may come to hold are set aside at once, which costs nothing, and memory, or room on the
disk, is taken as it grows.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from hookrl.errors import InvalidValue

_FEW_BYTES = 4096
"""Up to so many, all is compared at once before it is looked at where the difference lies."""

# Python 3.11 does not name it yet.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)

Block = Any
"""Values on their way into a column: an array on the host, a tensor elsewhere."""


class Column(ABC):
    """A table ``[rows, *shape]``.

    Args:
        rows: number of rows.
        shape: shape of one row.
        dtype: type of the values; uint8 stays uint8.
    """

    values: torch.Tensor
    """The whole table; a column that may grow has more rows there than are in use."""

    def __init__(self, rows: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.shape = shape
        self.dtype = dtype
        self.rows = 0
        self.grow(rows)

    @abstractmethod
    def grow(self, rows: int) -> None:
        """Make room for `rows` rows; those there are stay."""

    @abstractmethod
    def block(self, value: torch.Tensor) -> Block:
        """Return values as they can be compared and written; may refer to the same memory."""

    def checked_block(self, value: torch.Tensor, name: tuple[str, ...]) -> Block:
        """Return a block ``[envs, time, *shape]`` of values that are to be written.

        Raises:
            InvalidValue: for another shape or type than the column's.
        """
        block = self.block(value)
        if value.dtype is not self.dtype or block.shape[2:] != self.shape:
            raise InvalidValue(
                f"replay buffer: {name if len(name) > 1 else name[0]!r} of a transition is "
                f"{value.dtype} {list(value.shape[2:])}, expected {self.dtype} {list(self.shape)} "
                "as in the first batch."
            )
        return block

    @abstractmethod
    def differ(self, one: Block, other: Block) -> np.ndarray | None:
        """Compare two blocks to the bit.

        Returns:
            bool ``[envs, time]``, True where they differ; or None if they do nowhere.
        """

    @abstractmethod
    def write(self, envs: int, columns: slice, block: Block) -> None:
        """Write a block ``[envs, time, *shape]``, the table seen as ``[envs, rows // envs]``."""

    @abstractmethod
    def put(self, rows: np.ndarray | slice, values: Block) -> None:
        """Write single rows."""

    @abstractmethod
    def gather(self, rows: np.ndarray) -> torch.Tensor:
        """Return a copy of single rows, ``[n, *shape]``."""

    @abstractmethod
    def first(self, rows: int) -> Block:
        """Return the first rows as a block of one step, ``[rows, 1, *shape]``."""

    @abstractmethod
    def copy(self, envs: int, steps: int) -> torch.Tensor:
        """Return a copy of the first `steps` of every environment, ``[envs, steps, *shape]``."""


class HostColumn(Column):
    """A column in the host's memory, or in that of an unnamed file in `directory`.

    Args:
        rows: number of rows.
        shape: shape of one row.
        dtype: type of the values.
        most: rows that it may come to have; None: it does not grow.
        directory: where its file is; None: it has none.

    Raises:
        OSError: if the disk has not enough room, when the column is made or grows, and not later.
    """

    _bits: ClassVar = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}

    def __init__(
        self,
        rows: int,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        *,
        most: int | None = None,
        directory: Path | None = None,
    ) -> None:
        self._directory = directory
        self._file = None if directory is None else unnamed_file(directory)
        self._row_bytes = int(np.prod(shape)) * dtype.itemsize
        super().__init__(rows, shape, dtype)
        size = (rows if most is None else most, *shape)
        if self._file is not None:
            self.values = mapped(self._file, size, dtype)
        elif most in (None, rows):
            self.values = torch.empty(size, dtype=dtype)
        else:
            self.values = addressed(size, dtype)
        self._array = as_array(self.values)
        self._grid: np.ndarray | None = None
        self._bit_type = self._bits.get(self._array.dtype.itemsize, self._array.dtype)

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows, `most` at most; the table stays where it is."""
        if self._file is not None:
            # At once: a full disk would otherwise kill the process at some later write.
            os.posix_fallocate(self._file.fileno(), 0, max(rows * self._row_bytes, 1))
        self.rows = rows

    def block(self, value: torch.Tensor) -> Block:
        """Return values as an array; a copy only if they were not on the host."""
        return as_array(value)

    def differ(self, one: Block, other: Block) -> np.ndarray | None:
        """Compare bits, for which NaN equals NaN."""
        if one.nbytes <= _FEW_BYTES and one.tobytes() == other.tobytes():
            return None
        different = one.view(self._bit_type) != other.view(self._bit_type)
        if not different.any():
            return None
        envs, steps = different.shape[:2]
        return different.reshape(envs, steps, -1).any(-1)

    def grid(self, envs: int) -> np.ndarray:
        """Return the table itself, seen as ``[envs, rows // envs, *shape]``."""
        if self._grid is None:
            self._grid = self._array.reshape(envs, -1, *self.shape)
        return self._grid

    def write(self, envs: int, columns: slice, block: Block) -> None:
        """Write a block ``[envs, time, *shape]``."""
        self.grid(envs)[:, columns] = block

    def put(self, rows: np.ndarray | slice, values: Block) -> None:
        """Write single rows."""
        self._array[rows] = values

    def gather(self, rows: np.ndarray) -> torch.Tensor:
        """Return a copy of single rows."""
        gathered = torch.from_numpy(self._array.take(rows, axis=0))
        return gathered if gathered.dtype == self.dtype else gathered.view(self.dtype)

    def first(self, rows: int) -> Block:
        """Return a view of the first rows."""
        return self._array[:rows, None]

    def overlay(self, gathered: torch.Tensor, at: np.ndarray, rows: np.ndarray) -> None:
        """Replace what was gathered `at` some places by `rows` of this column."""
        as_array(gathered)[at] = self._array[rows]

    def copy(self, envs: int, steps: int) -> torch.Tensor:
        """Return a copy; that of a file is a file again, since it may not fit into memory."""
        source = self.values.unflatten(0, (envs, -1))[:, :steps]
        if self._directory is None:
            return source.clone(memory_format=torch.contiguous_format)
        file = unnamed_file(self._directory)
        os.posix_fallocate(file.fileno(), 0, max(source.nbytes, 1))
        return mapped(file, tuple(source.shape), self.dtype).copy_(source)


class DeviceColumn(Column):
    """A column in an accelerator's memory."""

    _bits: ClassVar = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

    def __init__(
        self,
        rows: int,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._device = device
        super().__init__(rows, shape, dtype)

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows; those there are stay."""
        values = torch.empty((rows, *self.shape), dtype=self.dtype, device=self._device)
        if self.rows:
            values[: self.rows] = self.values
        self.rows = rows
        self.values = values

    def block(self, value: torch.Tensor) -> Block:
        """Return values on the column's device."""
        return value.detach().to(self._device)

    def differ(self, one: Block, other: Block) -> np.ndarray | None:
        """Compare bits, for which NaN equals NaN; waits for the device."""
        bits = self._bits.get(self.dtype.itemsize, self.dtype)
        envs, steps = one.shape[:2]
        different = one.view(bits) != other.view(bits)
        return different.reshape(envs, steps, -1).any(-1).cpu().numpy()

    def write(self, envs: int, columns: slice, block: Block) -> None:
        """Write a block ``[envs, time, *shape]``."""
        self.values.unflatten(0, (envs, -1))[:, columns] = block

    def put(self, rows: np.ndarray | slice, values: Block) -> None:
        """Write single rows."""
        self.values[self._index(rows)] = values

    def gather(self, rows: np.ndarray) -> torch.Tensor:
        """Return a copy of single rows."""
        return self.values.index_select(0, self._index(rows))

    def first(self, rows: int) -> Block:
        """Return a view of the first rows."""
        return self.values[:rows, None]

    def copy(self, envs: int, steps: int) -> torch.Tensor:
        """Return a copy on the host."""
        source = self.values.unflatten(0, (envs, -1))[:, :steps]
        return torch.empty(source.shape, dtype=self.dtype).copy_(source)

    def _index(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            return rows
        return torch.from_numpy(rows).to(self._device, non_blocking=True)


def as_array(value: Block) -> np.ndarray:
    """Return a NumPy view; of types that NumPy lacks, such as bfloat16, one of their bits."""
    if isinstance(value, np.ndarray):
        return value
    try:
        return value.numpy()
    except (RuntimeError, TypeError):  # it requires gradients, lies elsewhere, or has such a type
        value = value.detach().cpu()
    try:
        return value.numpy()
    except TypeError:
        return value.view(torch.int16 if value.dtype.itemsize == 2 else torch.uint8).numpy()


def unnamed_file(directory: Path) -> Any:
    """Open a file in `directory` that goes away with the last who uses it."""
    directory.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=directory)


def mapped(file: Any, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor whose memory is the file's, which becomes long enough; without room yet."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.memmap(file, dtype=np.uint8, mode="r+", shape=(max(size, 1),))
    return torch.from_numpy(memory.view(np.ndarray)[:size]).view(dtype).view(shape)


def addressed(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor that takes memory where it is written to, however large it is."""
    size = int(np.prod(shape)) * dtype.itemsize
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    memory = np.frombuffer(mmap.mmap(-1, max(size, 1), flags=flags), dtype=np.uint8)
    return torch.from_numpy(memory[:size]).view(dtype).view(shape)
