"""From rows of a ring to a sample: by NumPy on the host, or as tensor code wherever it lies.

Where everything is comes first, as indices (`locate`). What follows only gathers: `read` does so
through NumPy, `gather` in torch, which a device needs and a graph can contain.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

from hookrl.envs.spaces import nest
from hookrl.replay.columns import Column, HostColumn
from hookrl.replay.finals import Finals
from hookrl.replay.ring import Ring
from hookrl.replay.spec import OUTCOME, REWARD, Key
from hookrl.tensordicts import assembled


class Samples:
    """Gathers transitions out of the tables of a store.

    *Places* are int64 ``[n + 2, B]``: the rows of the `n` steps that a return sums, where a window
    that has ended stays on its last row; the row behind the last; and the slot among the finals
    of the observation that comes there, -1 if that row shows it.

    Args:
        ring: what follows what.
        columns: the leaves of a transition.
        finals: observations that no row shows.
    """

    def __init__(self, ring: Ring, columns: Mapping[Key, Column], finals: Finals) -> None:
        self._ring = ring
        self._finals = finals
        self._observations = _of(columns, "observation")
        self._actions = _of(columns, "action")
        self._reward = columns[REWARD]
        self._flags = [(key[1], columns[key]) for key in OUTCOME[1:]]

    def locate(self, rows: np.ndarray, n: int) -> np.ndarray:
        """Return the places of the transitions that start at `rows`, over up to `n` steps."""
        places = np.empty((n + 2, len(rows)), np.int64)
        last = places[0] = rows
        for step in range(1, n):
            last = places[step] = self._ring.next_of_return(last)
        places[n] = self._ring.following(last)
        places[n + 1] = self._finals.slots.take(last)
        return places

    def read(self, places: Tensor, discounts: Tensor) -> TensorDict:
        """Return the transitions at some places; for columns on the host.

        Args:
            places: int64 ``[n + 2, B]``.
            discounts: of the steps behind the first, float64 ``[n - 1]``.

        Returns:
            ``[B]``, laid out as `ReplayBuffer.sample` says.
        """
        *window, following, slots = places.numpy()
        first, last = window[0], window[-1]
        at_final = np.flatnonzero(slots >= 0)
        next_observations = []
        finals = self._finals.columns
        for (name, column), final in zip(self._observations, finals, strict=True):
            value = column.gather(following)
            if at_final.size:
                assert isinstance(final, HostColumn)
                final.overlay(value, at_final, slots[at_final])
            next_observations.append((name, value))
        return _sample(
            [(name, column.gather(first)) for name, column in self._observations],
            [(name, column.gather(first)) for name, column in self._actions],
            next_observations,
            _returns([self._reward.gather(rows) for rows in window], places[:-2], discounts),
            {name: column.gather(last) for name, column in self._flags},
            places[:-2],
        )

    def gather(self, places: Tensor, discounts: Tensor) -> TensorDict:
        """Return the same by tensor code, on the device where everything lies."""
        window, following, slots = places[:-2], places[-2], places[-1]
        first, last = window[0], window[-1]
        is_final, slot = slots >= 0, slots.clamp(min=0)
        next_observations = []
        finals = self._finals.columns
        for (name, column), final in zip(self._observations, finals, strict=True):
            shown, apart = _taken(column, following), _taken(final, slot)
            choice = is_final.reshape(-1, *[1] * (shown.ndim - 1))
            next_observations.append((name, torch.where(choice, apart, shown)))
        return _sample(
            [(name, _taken(column, first)) for name, column in self._observations],
            [(name, _taken(column, first)) for name, column in self._actions],
            next_observations,
            _returns([_taken(self._reward, rows) for rows in window.unbind()], window, discounts),
            {name: _taken(column, last) for name, column in self._flags},
            window,
        )


def _of(columns: Mapping[Key, Column], kind: str) -> list[tuple[Key, Column]]:
    """The columns of observations or actions, by their names within these."""
    return [(key[1:], column) for key, column in columns.items() if key[0] == kind]


def _taken(column: Column, rows: Tensor) -> Tensor:
    return column.values.index_select(0, rows)


def _returns(rewards: list[Tensor], window: Tensor, discounts: Tensor) -> Tensor:
    """Discounted sums of rewards ``[B, 1]``, computed in float64 in order of time.

    Args:
        rewards: of each step, ``[B, 1]``.
        window: their rows, int64 ``[n, B]``.
        discounts: float64 ``[n - 1]``.
    """
    first, *others = rewards
    if not others:
        return first
    total = first.double()
    for reward, discount, counts in zip(others, discounts, _counts(window), strict=True):
        # A sum with zeros would turn an infinite reward into NaN.
        total = torch.where(counts.unsqueeze(1), total + reward.double() * discount, total)
    return total.to(first.dtype)


def _counts(window: Tensor) -> Tensor:
    """Which steps behind the first belong to the return, bool ``[n - 1, B]``: those that moved."""
    return window[1:] != window[:-1]


def _sample(
    observation: list[tuple[Key, Tensor]],
    action: list[tuple[Key, Tensor]],
    next_observation: list[tuple[Key, Tensor]],
    reward: Tensor,
    flags: Mapping[str, Tensor],
    window: Tensor,
) -> TensorDict:
    entries = {
        "observation": nest(observation),
        "action": nest(action),
        "next": {"observation": nest(next_observation), "reward": reward, **flags},
        "index": window[0],
    }
    if len(window) > 1:
        entries["steps_to_next_obs"] = 1 + _counts(window).sum(0).unsqueeze(1)
    return assembled(entries, torch.Size([window.shape[1]]))
