"""Returns and lengths of completed episodes, kept across batch boundaries."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.hooks.base import Mean, TrainerHookBase, TrainerLike


class EpisodeStatistics(TrainerHookBase):
    """Reports ``episode/mean_reward`` and ``episode/mean_length`` of episodes that ended.

    An episode counts when it ends, with everything since its first step, however many batches it
    spans. A row of metrics holds the mean over all episodes that ended since the last row. Nothing
    is read from the device.

    Args:
        reward_key: the reward as the environment gave it.
        log_pbar: show the mean return on the progress bar.
    """

    state_fields = ("_returns", "_lengths")

    def __init__(
        self, reward_key: NestedKey = ("next", "reward"), *, log_pbar: bool = True
    ) -> None:
        self.reward_key = reward_key
        self.log_pbar = log_pbar
        self.reads = (reward_key, ("next", "done"))
        self._returns: torch.Tensor | None = None
        self._lengths: torch.Tensor | None = None

    def register(self, trainer: TrainerLike, name: str = "episodes") -> None:
        """Hang the hook on ``pre_steps_log``."""
        trainer.register_op("pre_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> dict[str, Any]:
        """Add a batch ``[envs, time]`` to the running episodes and report those that ended."""
        reward = batch[self.reward_key].flatten(2).sum(-1).double()
        done = batch["next", "done"].flatten(2).any(-1)
        mask = batch.get(("collector", "mask"), None)
        if mask is not None:
            reward, done = reward.where(mask, 0.0), done & mask
        steps = torch.ones_like(reward) if mask is None else mask.double()
        if self._returns is None or self._lengths is None:
            self._returns = self._lengths = torch.zeros_like(reward[:, 0])
        # A checkpoint restores them where it was read.
        running_return, running_length = self._returns.to(reward), self._lengths.to(reward)
        # A step belongs to an ended episode if some later step, or itself, ends one.
        ended = done.flip(1).cummax(1).values.flip(1)
        any_ended = ended[:, 0]
        total_return = reward.where(ended, 0.0).sum() + running_return.where(any_ended, 0.0).sum()
        total_length = (steps * ended).sum() + running_length.where(any_ended, 0.0).sum()
        self._returns = reward.where(~ended, 0.0).sum(1) + running_return.where(~any_ended, 0.0)
        self._lengths = (steps * ~ended).sum(1) + running_length.where(~any_ended, 0.0)
        episodes = done.sum()
        return {
            "episode/mean_reward": Mean(total_return, episodes),
            "episode/mean_length": Mean(total_length, episodes),
            "log_pbar": self.log_pbar,
        }
