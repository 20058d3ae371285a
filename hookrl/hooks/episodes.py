"""Returns and lengths of completed episodes, kept across batch boundaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.hooks.base import Mean, TrainerHookBase, TrainerLike
from hookrl.objectives.entries import read_entry
from hookrl.tensordicts import TRAJECTORY, entry, frame_mask

_DONE = ("next", "done")


class EpisodeStatistics(TrainerHookBase):
    """Reports ``episode/mean_reward`` and ``episode/mean_length`` of episodes that ended.

    An episode counts when it ends, with everything since its first step, however many batches it
    spans. One that was cut off between two batches, as by a run that is resumed with new episodes,
    never ends and never counts. A row of metrics holds the mean over all episodes that ended since
    the last row. Nothing is read from the device.

    Args:
        reward_key: the reward as the environment gave it.
        log_pbar: show the mean return on the progress bar.
    """

    state_fields = ("_returns", "_lengths", "_episodes")

    def __init__(
        self, reward_key: NestedKey = ("next", "reward"), *, log_pbar: bool = True
    ) -> None:
        self.reward_key = reward_key
        self.log_pbar = log_pbar
        self.reads = (reward_key, _DONE)
        self._returns: Any = None
        self._lengths: Any = None
        self._episodes: Any = None
        """The one that each environment was in last; None: nobody says."""

    def register(self, trainer: TrainerLike, name: str = "episodes") -> None:
        """Hang the hook on ``pre_steps_log``."""
        trainer.register_op("pre_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> dict[str, Any] | None:
        """Add a batch ``[envs, time]`` to the running episodes and report those that ended.

        On the host nothing is reported if none did; a device would have to be asked.
        """
        reward = read_entry(batch, self.reward_key, "EpisodeStatistics")
        done = read_entry(batch, _DONE, "EpisodeStatistics")
        valid: Any = frame_mask(batch)
        # On the host the arithmetic is NumPy's, which takes a third of the time for small batches.
        xp: Any = torch
        if reward.device.type == "cpu":
            xp, reward, done = np, reward.numpy(), done.numpy()
            valid = None if valid is None else valid.numpy()
        goes_on, self._episodes = going_on(xp, entry(batch, TRAJECTORY), self._episodes)
        if xp is np and valid is None and not np.count_nonzero(done):
            # By far the most frequent with small batches.
            envs, steps = batch.batch_size
            total = np.add.reduce(reward.reshape(envs, -1), 1, np.float64)
            self._returns = _running(np, self._returns, total, goes_on) + total
            self._lengths = _running(np, self._lengths, total, goes_on) + float(steps)
            return None
        reward = reward.reshape(*batch.batch_size, -1).sum(-1, dtype=xp.float64)
        done = done.reshape(*batch.batch_size, -1).any(-1)
        steps = xp.ones_like(reward)
        if valid is not None:
            reward, done, steps = xp.where(valid, reward, 0.0), done & valid, steps * valid
        # A step belongs to an ended episode if some later step, or itself, ends one.
        ends = done.cumsum(1)
        ended = ends - done * 1 < ends[:, -1:]
        self._returns, total_return = _add(xp, self._returns, reward, ended, goes_on)
        self._lengths, total_length = _add(xp, self._lengths, steps, ended, goes_on)
        episodes = done.sum()
        return {
            "episode/mean_reward": Mean(total_return, episodes),
            "episode/mean_length": Mean(total_length, episodes),
            "log_pbar": self.log_pbar,
        }


def going_on(xp: Any, episodes: Any, before: Any) -> tuple[Any, Any]:
    """Find out whether a batch begins in the episodes in which the one before it ended.

    Args:
        xp: NumPy, for what is on the host, or torch.
        episodes: the entry `TRAJECTORY`, ``[envs, time]``; None: nobody says.
        before: what this returned for the batch before; None: there was none.

    Returns:
        Which environments go on, bool ``[envs]``, None if all do; and the episodes that they are in
        at the end, int64 ``[envs]``.
    """
    if episodes is None:
        return None, before
    if xp is np:
        episodes = episodes.numpy()
    first, last = episodes[:, 0], episodes[:, -1]
    # Of its own: the batch may be memory that is used again.
    last = last.copy() if xp is np else last.clone()
    if before is None:
        return None, last
    goes_on = first == _as(xp, before, first)
    # A device would have to be asked whether all do.
    all_do = xp is np and np.count_nonzero(goes_on) == goes_on.size
    return None if all_do else goes_on, last


def _add(xp: Any, running: Any, values: Any, ended: Any, goes_on: Any) -> tuple[Any, Any]:
    """Add values of steps to the sums of episodes.

    Args:
        xp: NumPy or torch.
        running: sums of the episodes under way, float64 ``[envs]``; None: zeros.
        values: float64 ``[envs, time]``.
        ended: which steps belong to episodes that ended, bool ``[envs, time]``.
        goes_on: which of the episodes under way go on, bool ``[envs]``; None: all.

    Returns:
        The sums of the episodes that are under way then, and one over all that ended.
    """
    running, first = _running(xp, running, values[:, 0], goes_on), ended[:, 0]
    total = xp.where(ended, values, 0.0).sum() + xp.where(first, running, 0.0).sum()
    return xp.where(ended, 0.0, values).sum(1) + xp.where(first, 0.0, running), total


def _running(xp: Any, running: Any, like: Any, goes_on: Any) -> Any:
    """The sums of those episodes under way that go on, ``[envs]``."""
    if running is None:
        return xp.zeros_like(like)
    running = _as(xp, running, like)
    return running if goes_on is None else xp.where(goes_on, running, 0.0)


def _as(xp: Any, values: Any, like: Any) -> Any:
    """Values of NumPy or torch as those of the other; a checkpoint may have brought either."""
    if xp is torch:
        return torch.as_tensor(values).to(like)
    return values if isinstance(values, np.ndarray) else torch.as_tensor(values).cpu().numpy()
