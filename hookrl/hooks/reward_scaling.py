"""Scales rewards by the spread of discounted returns, as published MuJoCo results do."""

from __future__ import annotations

import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.episodes import going_on
from hookrl.objectives import linear_scan
from hookrl.tensordicts import TRAJECTORY, entry, frame_mask


class RewardScaling(TrainerHookBase):
    """Divides each reward by the running standard deviation of discounted returns, and clips.

    The statistics are exactly those of stepping: the reward of step t is divided by the deviation
    of all returns up to and including t (detail 2 for continuous control in Huang et al., 2022).
    The reward itself stays as the environment gave it; the scaled one is written beside it.

    Args:
        gamma: discount of the returns.
        clip: bound of the scaled reward.
        epsilon: added to the variance.
        reward_key: what is read.
        out_key: what is written.
    """

    state_fields = ("_returns", "_episodes", "_mean", "_variance", "_count")

    def __init__(
        self,
        gamma: float,
        *,
        clip: float = 10.0,
        epsilon: float = 1e-8,
        reward_key: NestedKey = ("next", "reward"),
        out_key: NestedKey = ("next", "scaled_reward"),
    ) -> None:
        self.gamma = gamma
        self.clip = clip
        self.epsilon = epsilon
        self.reward_key = reward_key
        self.out_key = out_key
        self.reads = (reward_key, ("next", "done"))
        self.writes = (out_key,)
        self._returns: torch.Tensor | None = None
        self._episodes: torch.Tensor | None = None
        """The one that each environment was in last; None: nobody says."""
        self._mean = torch.zeros((), dtype=torch.float64)
        self._variance = torch.ones((), dtype=torch.float64)
        # As in RunningMoments: weighs nothing, keeps the first division finite.
        self._count = torch.full((), 1e-4, dtype=torch.float64)

    def register(self, trainer: TrainerLike, name: str = "reward_scaling") -> None:
        """Hang the hook on ``batch_process``, ahead of what reads rewards."""
        trainer.register_op("batch_process", self, name=name, priority=-10)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> TensorDictBase:
        """Scale the rewards of a batch ``[envs, time]``."""
        reward = batch[self.reward_key].squeeze(-1).double()
        done = batch["next", "done"].squeeze(-1)
        goes_on = self.gamma * (~done).double()
        valid = frame_mask(batch)
        same, self._episodes = going_on(torch, entry(batch, TRAJECTORY), self._episodes)
        if same is not None and self._returns is not None:
            self._returns = self._returns.to(same.device).where(same, 0.0)
        if valid is None:
            valid = torch.ones_like(done)
        else:  # the sum passes over frames that do not count
            reward = reward.where(valid, 0.0)
            goes_on = goes_on.where(valid, 1.0)
        deviation = self._deviations(self._discounted(reward, goes_on), valid.double())
        scaled = (reward / deviation).clamp(-self.clip, self.clip)
        batch[self.out_key] = scaled.unsqueeze(-1).to(batch[self.reward_key].dtype)
        return batch

    def _discounted(self, reward: torch.Tensor, goes_on: torch.Tensor) -> torch.Tensor:
        """Discounted sums of past rewards, begun anew behind the end of every episode."""
        if self._returns is None:
            self._returns = torch.zeros_like(reward[:, 0])
        # The factor that a step applies to the sum before it belongs to the step before.
        decay = torch.cat([torch.ones_like(reward[:, :1]), goes_on[:, :-1]], dim=1)
        returns = linear_scan(decay, reward, self._returns.to(reward.device).unsqueeze(1), dim=1)
        self._returns = returns[:, -1] * goes_on[:, -1]
        return returns

    def _deviations(self, returns: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Standard deviation of all returns up to each step, ``[1, time]``; moves the statistics.

        Merging step by step is a cumulative sum of first and second moments around the old mean.
        """
        centred = (returns - self._mean) * valid
        count = self._count + valid.sum(0).cumsum(0)
        first = centred.sum(0).cumsum(0) / count
        second = (centred.square().sum(0).cumsum(0) + self._variance * self._count) / count
        variance = second - first.square()
        self._count = count[-1].clone()
        self._mean = self._mean + first[-1]
        self._variance = variance[-1].clone()
        return (variance + self.epsilon).sqrt().unsqueeze(0)
