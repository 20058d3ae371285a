"""Transitions in a ring: whole batches in, one gather out.

Every observation is stored once. What `Ring` and `Finals` say about rows is brought together here
with the columns that hold the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from weakref import WeakSet

import numpy as np
import torch
from tensordict import TensorDictBase

from hookrl.errors import InvalidValue
from hookrl.replay.columns import Block, Column, DeviceColumn, HostColumn, as_array
from hookrl.replay.finals import Finals
from hookrl.replay.live import LiveValues
from hookrl.replay.ring import Ring
from hookrl.replay.samples import Samples
from hookrl.replay.spec import DONE, Key, Spec, missing
from hookrl.state import LiveTensor
from hookrl.tensordicts import entry, frame_mask


class TransitionStore:
    """Transitions ``[envs, steps]`` of one layout.

    Args:
        spec: the leaves of a transition, those of the next observation left out.
        envs: environments.
        steps: transitions kept of each.
        device: where the values lie.
        directory: put them into files there, not into memory; needs the host as device.
    """

    def __init__(
        self,
        spec: Spec,
        envs: int,
        steps: int,
        device: torch.device,
        directory: Path | None,
    ) -> None:
        def column(key: Key, rows: int, most: int) -> Column:
            shape, dtype = spec[key]
            if device.type == "cpu":
                return HostColumn(rows, shape, dtype, most=most, directory=directory)
            return DeviceColumn(rows, shape, dtype, device)

        self.spec = spec
        self.device = device
        self.ring = Ring(envs, steps)
        rows = envs * steps
        self.columns = {key: column(key, rows, rows) for key in spec}
        self.observations = [key for key in spec if key[0] == "observation"]
        self._next_of = [(("next", *key), self.columns[key]) for key in self.observations]
        first, most = Finals.initial_rows(envs), Finals.most_rows(envs, rows)
        self.finals = Finals([column(key, first, most) for key in self.observations], envs, rows)
        self.samples = Samples(self.ring, self.columns, self.finals)
        self._slots = self.ring.grid(self.finals.slots)
        self._newest_slots = np.arange(envs)
        self.done_at_newest = np.zeros(envs, dtype=np.bool_)
        self._live: WeakSet[LiveValues] = WeakSet()

    def values(self, live: bool = False) -> dict[Key, torch.Tensor | LiveTensor]:
        """Return each leaf, ``[envs, filled, …]``, on the host.

        Args:
            live: where they are on the host already, return what can still be read when the store
                has gone on, instead of copies.
        """
        ring = self.ring
        host = {k: column for k, column in self.columns.items() if isinstance(column, HostColumn)}
        if not (live and host):
            return {
                key: column.copy(ring.envs, ring.filled) for key, column in self.columns.items()
            }
        values = LiveValues(host, ring)
        self._live.add(values)
        return {**values.tensors}

    def write(self, batch: TensorDictBase) -> list[slice]:
        """Write a batch ``[envs, time]``; of one longer than the ring, the end.

        Returns:
            The columns of the ring that were written.

        Raises:
            InvalidValue, MissingKey: if it is not laid out as the first was; nothing has changed.
        """
        ring, finals = self.ring, self.finals
        blocks, following, done, valid = self._taken_apart(batch)
        steps = done.shape[1]
        self._link(blocks, valid)
        apart = self._apart(blocks, following)
        stop = done if apart is None else _with_stops(done, apart)
        if valid is not None:
            stop = _with_stops(stop, ~valid[:, 1:])
        pieces = list(ring.pieces(steps))
        for source, columns in pieces:
            if columns.start < ring.filled:
                finals.release(self._slots[:, columns])
                ring.count -= int(np.count_nonzero(ring.valid_grid[:, columns]))
            ring.valid_grid[:, columns] = True if valid is None else valid[:, source]
            ring.stop_grid[:, columns] = stop[:, source]
            self._keep_live(columns)
            for key, block in blocks.items():
                part = block if len(pieces) == 1 else block[:, source]
                self.columns[key].write(ring.envs, columns, part)
        new = done.size if valid is None else int(np.count_nonzero(valid))
        ring.count += new
        ring.written += new
        if apart is not None:
            if valid is not None:  # what is never drawn needs no next observation
                apart &= valid[:, :-1]
            envs, times = np.nonzero(apart)
            rows = envs * ring.steps + (ring.position + times) % ring.steps
            self._put_finals(rows, [block[envs, times] for block in following])
        ring.advance(steps)
        self._put_newest([block[:, -1] for block in following], done[:, -1])
        return [columns for _, columns in pieces]

    def clear(self) -> None:
        """Forget every transition."""
        self.ring.clear()
        self.finals.clear()

    def fill(
        self,
        position: int,
        filled: int,
        valid: torch.Tensor,
        values: Mapping[Key, torch.Tensor],
        final_rows: np.ndarray,
        finals: dict[Key, torch.Tensor],
    ) -> None:
        """Hold exactly these transitions, as another store held them.

        Args:
            position: the column that is written next.
            filled: columns that hold transitions.
            valid: bool ``[envs, filled]``.
            values: each leaf, ``[envs, filled, …]``.
            final_rows: rows with a next observation of their own, int64 ``[n]``, the newest among
                them.
            finals: these observations, each leaf ``[n, …]``.
        """
        ring = self.ring
        self.clear()
        ring.position, ring.filled = position, filled
        if not filled:
            return
        held = slice(0, filled)
        self._keep_live(held)
        for key, column in self.columns.items():
            column.write(ring.envs, held, column.block(values[key]))
        ring.valid_grid[:, held] = as_array(valid)
        ring.count = int(np.count_nonzero(ring.valid))
        is_newest = final_rows % ring.steps == ring.newest
        blocks = [
            column.block(finals[key])
            for key, column in zip(self.observations, self.finals.columns, strict=True)
        ]
        older, newest = np.flatnonzero(~is_newest), np.flatnonzero(is_newest)
        self._put_finals(final_rows[older], [block[older] for block in blocks])
        done = as_array(values[DONE])[:, :, 0]
        self._put_newest([block[newest] for block in blocks], done[:, ring.newest])
        stop = ring.stop_grid
        stop[:, held] = done | ~np.roll(ring.valid_grid, -1, axis=1)[:, held]
        stop[:, ring.newest] = True
        ring.stop[final_rows] = True

    def _keep_live(self, columns: slice) -> None:
        """Columns of the ring are about to be overwritten."""
        if self._live:
            for values in self._live:
                values.keep(columns)

    def _taken_apart(
        self, batch: TensorDictBase
    ) -> tuple[dict[Key, Block], list[Block], np.ndarray, np.ndarray | None]:
        """Check a batch and take it apart, no more of it than the ring holds.

        Returns:
            The leaves, those of the next observation, and on the host ``done`` and, if there is
            one, the mask, bool ``[envs, time]``.
        """
        ring = self.ring
        if batch.batch_size[0] != ring.envs:
            raise InvalidValue(
                f"replay buffer: the batch has {batch.batch_size[0]} environments, the first one "
                f"had {ring.envs}."
            )
        if batch.batch_size[1] > ring.steps:
            batch = batch[:, -ring.steps :]
        blocks = {key: _block(batch, key, column) for key, column in self.columns.items()}
        following = [_block(batch, key, column) for key, column in self._next_of]
        done = as_array(blocks[DONE])[:, :, 0]
        mask = frame_mask(batch)
        valid = None if mask is None else as_array(mask).reshape(done.shape)
        return blocks, following, done, valid

    def _link(self, blocks: dict[Key, Block], valid: np.ndarray | None) -> None:
        """Let the newest rows go on with the batch, unless it begins elsewhere than they ended."""
        ring, finals = self.ring, self.finals
        if not ring.filled:
            return
        newest = ring.column_rows(ring.newest)
        stop = self.done_at_newest if valid is None else self.done_at_newest | ~valid[:, 0]
        finals.slots[newest] = -1
        apart: np.ndarray | None = None
        for key, final in zip(self.observations, finals.columns, strict=True):
            different = final.differ(blocks[key][:, :1], final.first(ring.envs))
            apart = _either(apart, different)
        if apart is not None:
            stop = stop | apart[:, 0]
            envs = np.flatnonzero(apart[:, 0] & ring.valid[newest])
            rows = envs * ring.steps + ring.newest
            self._put_finals(rows, [final.first(ring.envs)[envs, 0] for final in finals.columns])
        ring.stop[newest] = stop

    def _apart(self, blocks: dict[Key, Block], following: list[Block]) -> np.ndarray | None:
        """Where within a batch the next observation is not the one of the following row."""
        apart: np.ndarray | None = None
        for key, block in zip(self.observations, following, strict=True):
            if block.shape[1] > 1:
                different = self.columns[key].differ(block[:, :-1], blocks[key][:, 1:])
                apart = _either(apart, different)
        return apart

    def _put_finals(self, rows: np.ndarray, values: list[Block]) -> None:
        slots = self.finals.take(rows)
        for column, value in zip(self.finals.columns, values, strict=True):
            column.put(slots, value)

    def _put_newest(self, values: list[Block], done: np.ndarray) -> None:
        """What comes behind the newest rows is not in the ring yet."""
        ring = self.ring
        newest = ring.column_rows(ring.newest)
        for column, value in zip(self.finals.columns, values, strict=True):
            column.put(slice(0, ring.envs), value)
        self.finals.slots[newest] = self._newest_slots
        self.done_at_newest = done.copy()
        ring.stop[newest] = True


def _block(batch: TensorDictBase, key: Key, column: Column) -> Block:
    value = entry(batch, key)
    if not isinstance(value, torch.Tensor):
        raise missing(batch, key)
    return column.checked_block(value, key)


def _either(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _with_stops(stop: np.ndarray, before_last: np.ndarray) -> np.ndarray:
    stop = stop.copy()
    stop[:, :-1] |= before_last
    return stop
