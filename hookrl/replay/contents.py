"""What a replay buffer holds, apart from it: for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hookrl.errors import InvalidValue, MissingKey
from hookrl.replay.columns import as_array
from hookrl.replay.spec import OUTCOME, Key, Spec
from hookrl.replay.store import TransitionStore
from hookrl.state import same_keys

_FIELDS = ("steps", "position", "filled", "written", "valid", "values", "final_rows", "finals")


@dataclass(frozen=True)
class Contents:
    """Transitions ``[envs, filled]`` and what belongs to them."""

    steps: int
    """Columns of the ring."""
    position: int
    """The column that is written next."""
    filled: int
    """Columns that hold transitions: the first ones."""
    written: int
    """Transitions ever written."""
    valid: torch.Tensor
    """Which may be drawn, bool ``[envs, filled]``."""
    values: Mapping[Key, Any]
    """Each leaf, ``[envs, filled, …]``: a tensor, on the way out perhaps a live one."""
    final_rows: torch.Tensor
    """Rows ``env * steps + column`` with a next observation of their own, int64 ``[n]``."""
    finals: dict[Key, torch.Tensor]
    """These observations, each leaf ``[n, …]``."""

    @classmethod
    def of(cls, store: TransitionStore, live: bool = False) -> Contents:
        """Return what `store` holds, copied, or as what can be read while it goes on."""
        ring, slots = store.ring, store.finals.slots
        rows = np.flatnonzero(slots >= 0)
        columns = zip(store.observations, store.finals.columns, strict=True)
        return cls(
            steps=ring.steps,
            position=ring.position,
            filled=ring.filled,
            written=ring.written,
            valid=torch.from_numpy(ring.grid(ring.valid)[:, : ring.filled].copy()),
            values=store.values(live),
            final_rows=torch.from_numpy(rows),
            finals={key: column.gather(slots[rows]).cpu() for key, column in columns},
        )

    @classmethod
    def from_state(cls, state: Mapping[str, Any], capacity: int) -> Contents:
        """Take a state apart and check that it is one of a buffer of this capacity.

        Raises:
            MissingKey, InvalidValue: if it is not.
        """
        same_keys(state, _FIELDS, owner="ReplayBuffer")
        contents = cls(**state)
        contents._check(capacity)
        return contents

    def as_state(self) -> dict[str, Any]:
        """Return tensors and plain values."""
        return {name: getattr(self, name) for name in _FIELDS}

    @property
    def envs(self) -> int:
        """Environments."""
        return self.valid.shape[0]

    @property
    def spec(self) -> Spec:
        """The leaves of a transition."""
        return {key: (tuple(value.shape[2:]), value.dtype) for key, value in self.values.items()}

    def check_fits(self, store: TransitionStore) -> None:
        """Check that `store` has the same layout.

        Raises:
            InvalidValue: if it has not.
        """
        mine, theirs = (self.envs, self.spec), (store.ring.envs, store.spec)
        if mine != theirs:
            raise InvalidValue(
                f"the state for ReplayBuffer is of {_layout(*mine)}; the buffer already holds "
                f"{_layout(*theirs)}."
            )

    def put_into(self, store: TransitionStore) -> None:
        """Let `store`, which this fits, hold exactly this."""
        store.fill(
            self.position,
            self.filled,
            self.valid,
            self.values,
            as_array(self.final_rows),
            self.finals,
        )
        store.ring.written = self.written

    def _check(self, capacity: int) -> None:
        missing: list[Key] = [key for key in OUTCOME if key not in self.values]
        for name in ("observation", "action"):
            if not any(key[0] == name for key in self.values):
                missing.append((name,))
        if missing:
            raise MissingKey(f"the state for ReplayBuffer lacks {', '.join(map(repr, missing))}.")
        _expect(
            self.valid.ndim == 2 and self.valid.dtype == torch.bool and self.envs > 0,
            "valid is not a bool tensor [envs, time]",
        )
        _expect(
            self.steps == capacity // self.envs,
            f"keeps {self.steps} transitions of each of {self.envs} environments, a buffer of "
            f"capacity {capacity} keeps {capacity // self.envs}",
        )
        # A ring that is not full yet began at column 0.
        next_columns = range(self.steps) if self.filled == self.steps else [self.filled]
        _expect(
            0 < self.filled <= self.steps and self.position in next_columns,
            f"position={self.position} and filled={self.filled} contradict each other",
        )
        expected = (self.envs, self.filled)
        for key, value in {("valid",): self.valid, **self.values}.items():
            _expect(
                tuple(value.shape[:2]) == expected,
                f"{key} has shape {list(value.shape)}, others {list(expected)}",
            )
        self._check_finals()

    def _check_finals(self) -> None:
        rows = self.final_rows
        _expect(rows.ndim == 1 and rows.dtype == torch.int64, "final_rows is not int64 [n]")
        times, envs = rows % self.steps, rows // self.steps
        newest = (self.position or self.steps) - 1
        _expect(
            bool(((envs >= 0) & (envs < self.envs) & (times < self.filled)).all())
            and len(rows.unique()) == len(rows)
            and int((times == newest).sum()) == self.envs,
            "final_rows is not a set of stored rows with the newest among them",
        )
        observations = {key for key in self.values if key[0] == "observation"}
        _expect(set(self.finals) == observations, "finals has other leaves than observations")
        for key in observations:
            expected, final = self.values[key], self.finals[key]
            _expect(
                final.shape == (len(rows), *expected.shape[2:]) and final.dtype == expected.dtype,
                f"finals of {key} are {final.dtype} {list(final.shape)}",
            )


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise InvalidValue(f"the state for ReplayBuffer is not one of this buffer: {otherwise}.")


def _layout(envs: int, spec: Spec) -> str:
    leaves = ", ".join(
        f"{key if len(key) > 1 else key[0]!r} {dtype} {list(shape)}"
        for key, (shape, dtype) in spec.items()
    )
    return f"{envs} environments with {leaves}"
