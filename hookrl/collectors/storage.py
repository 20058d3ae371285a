"""Where one batch is written, step by step, and how it becomes a TensorDict.

A `BatchStorage` is allocated per batch and never used again, so nothing that was handed out ever
changes. Environments that speak NumPy write through views of the tensors' memory.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from hookrl.envs.spaces import Leaf, at, nest

FinalObservation = tuple[int, Any, Any]
"""Time step, indices of the environments that ended there, and their last observations."""


class BatchStorage:
    """Tensors of shape ``[envs, time, …]`` for one batch.

    Args:
        observation_leaves: what an observation consists of.
        action_leaves: what an action consists of.
        num_envs: environments.
        steps: steps of each.
        device: where the tensors live.
        use_numpy: write through NumPy views (CPU only).
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
        def empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
            return torch.empty((num_envs, steps, *shape), dtype=dtype, device=device)

        def view(tensor: torch.Tensor) -> Any:
            return tensor.numpy() if use_numpy else tensor

        self._observations = [(f.path, empty(f.shape, f.dtype)) for f in observation_leaves]
        self._actions = [(f.path, empty(f.shape, f.dtype)) for f in action_leaves]
        self._reward = empty((), torch.float32)
        self._terminated = empty((), torch.bool)
        self._truncated = empty((), torch.bool)
        self._next_observations = [(f.path, empty(f.shape, f.dtype)) for f in observation_leaves]
        self._observation_views = [(path, view(tensor)) for path, tensor in self._observations]
        self._next_views = [(path, view(tensor)) for path, tensor in self._next_observations]
        self._action_views = [(path, view(tensor)) for path, tensor in self._actions]
        self._reward_view = view(self._reward)
        self._terminated_view = view(self._terminated)
        self._truncated_view = view(self._truncated)
        self._final: list[FinalObservation] = []
        self._batch_size = (num_envs, steps)

    def write_observation(self, t: int, observation: Any) -> Any:
        """Write what is seen at step `t`; return it as it is stored, in memory of the batch."""
        for path, view in self._observation_views:
            view[:, t] = at(observation, path)
        return nest([(path, view[:, t]) for path, view in self._observation_views])

    def write_action(self, t: int, action: Any) -> None:
        """Write what is done at step `t`."""
        for path, view in self._action_views:
            view[:, t] = at(action, path)

    def write_outcome(self, t: int, reward: Any, terminated: Any, truncated: Any) -> None:
        """Write what step `t` led to."""
        self._reward_view[:, t] = reward
        self._terminated_view[:, t] = terminated
        self._truncated_view[:, t] = truncated

    def write_final(self, t: int, envs: Any, observations: Any) -> None:
        """Write the last observations of the episodes that ended at step `t` in `envs`.

        `observations` has one row for each of `envs` and belongs to the storage from now on.
        """
        self._final.append((t, envs, observations))

    @functools.cached_property
    def done(self) -> torch.Tensor:
        """Where an episode ended, bool ``[envs, time]``, once all steps are written."""
        return self._terminated | self._truncated

    def finish(self, last_observation: Any, reset_frames: torch.Tensor | None) -> TensorDict:
        """Return the batch.

        Args:
            last_observation: what the environments show after the last step.
            reset_frames: bool ``[envs, time]``, True where a step only reset its environment;
                None if there are no such frames.
        """
        self._write_next_observations(last_observation)
        terminated, truncated = self._terminated.unsqueeze(-1), self._truncated.unsqueeze(-1)
        next_state = TensorDict(
            {
                "observation": nest(self._next_observations),
                "reward": self._reward.unsqueeze(-1),
                "done": self.done.unsqueeze(-1),
                "terminated": terminated,
                "truncated": truncated,
            },
            batch_size=self._batch_size,
        )
        at_reset = reset_frames
        if at_reset is None:
            at_reset = torch.zeros_like(self._terminated)
        already_over = at_reset.unsqueeze(-1)
        batch = TensorDict(
            {
                "observation": nest(self._observations),
                "action": nest(self._actions),
                "done": already_over,
                "terminated": already_over.clone(),
                "truncated": already_over.clone(),
                "next": next_state,
            },
            batch_size=self._batch_size,
        )
        if reset_frames is not None:
            batch["collector", "mask"] = ~reset_frames
        return batch

    def _write_next_observations(self, last_observation: Any) -> None:
        """The following row, except where an episode ended: there its own last observation."""
        for (path, view), (_, next_view) in zip(
            self._observation_views, self._next_views, strict=True
        ):
            next_view[:, :-1] = view[:, 1:]
            next_view[:, -1] = at(last_observation, path)
            for t, envs, final in self._final:
                next_view[envs, t] = at(final, path)


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
        if not starts_after.any():
            return np.repeat(self.current[:, None], starts_after.shape[1], axis=1)
        counts = np.cumsum(starts_after.ravel())
        # Each boundary, counted environment by environment, opens the next free id.
        opened = np.where(starts_after, self.next_id - 1 + counts.reshape(starts_after.shape), -1)
        ids = np.concatenate([self.current[:, None], opened], axis=1)
        np.maximum.accumulate(ids, axis=1, out=ids)
        self.current = ids[:, -1].copy()
        self.next_id += int(counts[-1])
        return ids[:, :-1].copy()
