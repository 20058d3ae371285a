"""Standardises the rewards that are learned from, by a moving average of their moments."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.tensordicts import frame_mask


class RewardNormalizer(TrainerHookBase):
    """Learns the mean and deviation of rewards from each batch; applies them to each sub-batch.

    With ``decay`` per batch it keeps ``sum ← decay · sum + Σ r``, likewise of squares and counts,
    and gives ``scale · (r − mean) / std``. Batches, and what a replay buffer holds, keep the reward
    of the environment, so that old transitions are normalised by today's statistics. Only rewards
    read after ``process_optim_batch`` are changed: where advantages are computed for the whole
    batch beforehand, as in PPO, use `RewardScaling`.

    Args:
        decay: of the moments, per batch.
        scale: factor of the normalised reward.
        eps: lower bound of the variance; None: the resolution of the default dtype.
        log_pbar: show the mean reward on the progress bar.
        reward_key: entry that is read and replaced; None: ``("next", "reward")``.

    Raises:
        InvalidValue: for a decay outside [0, 1].
    """

    state_fields = ("_sum", "_squares", "_count")

    def __init__(
        self,
        decay: float = 0.999,
        scale: float = 1.0,
        eps: float | None = None,
        log_pbar: bool = False,
        reward_key: NestedKey | None = None,
    ) -> None:
        if not 0 <= decay <= 1:
            raise InvalidValue(f"decay={decay} of RewardNormalizer: expected 0 to 1.")
        self.decay = decay
        self.scale = scale
        self.eps = torch.finfo(torch.get_default_dtype()).eps if eps is None else eps
        self.log_pbar = log_pbar
        self.reward_key = ("next", "reward") if reward_key is None else reward_key
        self.reads = (self.reward_key,)
        self._sum: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None
        self._count: torch.Tensor | None = None

    def register(self, trainer: TrainerLike, name: str = "reward_normalizer") -> None:
        """Learn at ``batch_process``; apply at ``process_optim_batch``, behind all sampling."""
        trainer.register_op("batch_process", self.update_reward_stats, name=f"{name}.update")
        trainer.register_op("pre_steps_log", self.log, name=f"{name}.log")
        trainer.register_op(
            "process_optim_batch", self.normalize_reward, name=f"{name}.normalize", priority=10
        )
        trainer.register_module(name, self)

    @torch.no_grad()
    def update_reward_stats(self, batch: TensorDictBase) -> None:
        """Take in the rewards of a batch; frames masked out do not count."""
        reward = batch[self.reward_key]
        mask = frame_mask(batch)
        reward = (reward if mask is None else reward[mask]).double()
        if self._sum is None or self._squares is None or self._count is None:
            self._sum = self._squares = self._count = torch.zeros_like(reward.sum())
        self._sum = self.decay * self._sum.to(reward) + reward.sum()
        self._squares = self.decay * self._squares.to(reward) + reward.square().sum()
        self._count = self.decay * self._count.to(reward) + reward.numel()

    def normalize_reward(self, sub_batch: TensorDictBase) -> TensorDictBase:
        """Return the sub-batch with normalised rewards; the one that was given stays as it is.

        Raises:
            InvalidValue: if no batch was seen before.
        """
        mean, deviation = self._moments()
        reward = sub_batch[self.reward_key]
        normal = (reward - mean.to(reward)) / deviation.to(reward) * self.scale
        return sub_batch.copy().set(self.reward_key, normal)

    def log(self, batch: Any) -> dict[str, Any]:
        """Report the statistics in use."""
        mean, deviation = self._moments()
        return {
            "train/reward_mean": mean,
            "train/reward_std": deviation,
            "log_pbar": self.log_pbar,
        }

    def _moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._sum is None or self._squares is None or self._count is None:
            raise InvalidValue(
                "RewardNormalizer has seen no batch to normalise by: expected its "
                "update_reward_stats to be registered at 'batch_process'."
            )
        mean = self._sum / self._count.clamp_min(1.0)
        variance = (self._squares - self._sum * mean) / (self._count - 1).clamp_min(1.0)
        return mean, variance.where(self._count > 1, 0.0).clamp_min(self.eps).sqrt()
