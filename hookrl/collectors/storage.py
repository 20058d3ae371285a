"""Where one batch is written, step by step, and how it becomes a TensorDict.

A `BatchStorage` is allocated per batch and never used again, so nothing that was handed out ever
changes. Environments that speak NumPy write into arrays, whose memory is the tensors'.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from hookrl.envs.spaces import Leaf, Path, at, nest
from hookrl.tensordicts import assembled

FinalObservation = tuple[int, Any, Any]
"""Time step, indices of the environments that ended there, and their last observations."""


class BatchStorage:
    """Arrays or tensors of shape ``[envs, time, …]`` for one batch.

    Args:
        observation_leaves: what an observation consists of.
        action_leaves: what an action consists of.
        num_envs: environments.
        steps: steps of each.
        device: where the tensors live.
        use_numpy: write into NumPy's arrays, which become tensors at the end (CPU only): until then
            each operation takes a fraction of the time.
    """

    def __init__(
        self,
        observation_leaves: list[Leaf],
        action_leaves: list[Leaf],
        num_envs: int,
        steps: int,
        device: torch.device,
        *,
        use_numpy: bool,
    ) -> None:
        def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Any:
            size = (num_envs, steps, *shape)
            if use_numpy:
                return np.empty(size, dtype=numpy_dtype(dtype))
            return torch.empty(size, dtype=dtype, device=device)

        self._use_numpy = use_numpy
        self._observations = [(f.path, empty(f.shape, f.dtype)) for f in observation_leaves]
        self._actions = [(f.path, empty(f.shape, f.dtype)) for f in action_leaves]
        self._reward = empty((1,), torch.float32)
        # Two of the outcome, three of how a step begins.
        size = (num_envs, steps, 1)
        self._flags: list[Any]
        if use_numpy:
            self._flags = [*np.zeros((5, *size), np.bool_)]
        else:
            self._flags = [torch.zeros(size, dtype=torch.bool, device=device) for _ in range(5)]
        # Views in which a step is one row.
        self._seen = _Steps(self._observations)
        self._taken = _Steps(self._actions)
        self._rewards = self._reward[..., 0].swapaxes(0, 1)
        self._terminations, self._truncations = (
            flags[..., 0].swapaxes(0, 1) for flags in self._flags[:2]
        )
        self._done: Any = None
        self._final: list[FinalObservation] = []
        self._batch_size = torch.Size((num_envs, steps))

    def write_observation(self, t: int, observation: Any) -> Any:
        """Write what is seen at step `t`; return it as it is stored, in memory of the batch."""
        return self._seen.write(t, observation)

    def write_action(self, t: int, action: Any) -> None:
        """Write what is done at step `t`."""
        self._taken.write(t, action)

    def write_outcome(self, t: int, reward: Any, terminated: Any, truncated: Any) -> None:
        """Write what step `t` led to."""
        self._rewards[t] = reward
        self._terminations[t] = terminated
        self._truncations[t] = truncated

    def rows(self, first: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, Iterable[Any]]:
        """Return where an environment that writes by itself writes, and the policy reads.

        Only for observations and actions of one array each, and NumPy's.

        Args:
            first: what the first step sees.

        Returns:
            What each step sees, and last what comes behind the batch, ``[envs, *shape]`` each; the
            actions, ``[time, envs, *shape]``; and for each step the rows of reward, ``terminated``
            and ``truncated``, ``[envs]`` each.
        """
        seen = [*self._seen.only]
        seen[0][...] = first
        seen.append(np.empty_like(seen[0]))
        outcomes = zip(self._rewards, self._terminations, self._truncations, strict=True)
        return seen, self._taken.only, outcomes

    def write_final(self, t: int, envs: Any, observations: Any) -> None:
        """Write the last observations of the episodes that ended at step `t` in `envs`.

        `observations` has one row for each of `envs` and belongs to the storage from now on.
        """
        self._final.append((t, envs, observations))

    @property
    def done(self) -> Any:
        """Where an episode ended, bool ``[envs, time]``, once all steps are written."""
        return self._ended()[..., 0]

    def _ended(self) -> Any:
        if self._done is None:
            terminated, truncated = self._flags[:2]
            self._done = terminated | truncated
        return self._done

    def finish(
        self, last_observation: Any, traj_ids: np.ndarray, reset_frames: Any | None = None
    ) -> TensorDict:
        """Return the batch.

        Args:
            last_observation: what the environments show after the last step.
            traj_ids: the episode of each step, int64 ``[envs, time]``.
            reset_frames: bool ``[envs, time]``, True where a step only reset its environment;
                None if there are no such frames.
        """
        as_tensor = torch.from_numpy if self._use_numpy else _itself
        following = self._next_observations(last_observation)
        collector = {"traj_ids": torch.from_numpy(traj_ids)}
        if reset_frames is not None:
            for flags in self._flags[2:]:
                flags[..., 0] = reset_frames
            collector["mask"] = as_tensor(~reset_frames)
        if not self._use_numpy:
            device = self._reward.device
            collector["traj_ids"] = collector["traj_ids"].to(device, non_blocking=True)
        terminated, truncated, *begun_over = map(as_tensor, self._flags)
        next_state = {
            "observation": nest([(path, as_tensor(value)) for path, value in following]),
            "reward": as_tensor(self._reward),
            "done": as_tensor(self._ended()),
            "terminated": terminated,
            "truncated": truncated,
        }
        entries = {
            "observation": nest([(path, as_tensor(value)) for path, value in self._observations]),
            "action": nest([(path, as_tensor(value)) for path, value in self._actions]),
            **dict(zip(("done", "terminated", "truncated"), begun_over, strict=True)),
            "next": next_state,
            "collector": collector,
        }
        return assembled(entries, self._batch_size)

    def _next_observations(self, last_observation: Any) -> list[tuple[Path, Any]]:
        """The following row, except where an episode ended: there its own last observation."""
        following = []
        for path, stored in self._observations:
            after = np.empty_like(stored) if self._use_numpy else torch.empty_like(stored)
            after[:, :-1] = stored[:, 1:]
            after[:, -1] = at(last_observation, path)
            for t, envs, final in self._final:
                after[envs, t] = at(final, path)
            following.append((path, after))
        return following


class _Steps:
    """Writes one step of all entries of an observation or action."""

    def __init__(self, stored: list[tuple[Path, Any]]) -> None:
        self._rows = [(path, values.swapaxes(0, 1)) for path, values in stored]
        self.only: Any = self._rows[0][1] if len(stored) == 1 and not stored[0][0] else None
        """Of a single entry that has no name, ``[time, envs, *shape]``; else None."""

    def write(self, t: int, value: Any) -> Any:
        """Write what was at step `t`; return it as it is stored."""
        if self.only is not None:
            row = self.only[t]
            row[...] = value
            return row
        for path, rows in self._rows:
            rows[t] = at(value, path)
        return nest([(path, rows[t]) for path, rows in self._rows])


def _itself(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


@functools.cache
def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """NumPy's name for a type of torch."""
    return torch.empty(0, dtype=dtype).numpy().dtype


class TrajectoryIds:
    """Numbers the episodes: ``("collector", "traj_ids")``, unique over the whole run."""

    def __init__(self, num_envs: int) -> None:
        self.next_id = 0
        self.current = np.zeros(num_envs, dtype=np.int64)
        """The episode of each environment."""

    def restart(self) -> None:
        """Every environment begins a new episode."""
        self.current = self.next_id + np.arange(len(self.current))
        self.next_id += len(self.current)

    def assign(self, starts_after: np.ndarray) -> np.ndarray:
        """Return the ids of a batch.

        Args:
            starts_after: bool ``[envs, time]``, True where the next step begins a new episode.

        Returns:
            int64 ``[envs, time]``.
        """
        if not np.count_nonzero(starts_after):  # a quarter of the time of `any`, on a handful
            ids = np.empty(starts_after.shape, np.int64)
            ids[...] = self.current[:, None]
            return ids
        counts = np.cumsum(starts_after.ravel())
        # Each boundary, counted environment by environment, opens the next free id.
        opened = np.where(starts_after, self.next_id - 1 + counts.reshape(starts_after.shape), -1)
        ids = np.concatenate([self.current[:, None], opened], axis=1)
        np.maximum.accumulate(ids, axis=1, out=ids)
        self.current = ids[:, -1].copy()
        self.next_id += int(counts[-1])
        return ids[:, :-1].copy()
