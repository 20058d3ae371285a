"""Logs how many frames were collected."""

from __future__ import annotations

from typing import Any

from tensordict import TensorDictBase

from hookrl.hooks.base import Latest, TrainerHookBase, TrainerLike
from hookrl.tensordicts import frame_mask


class CountFramesLog(TrainerHookBase):
    """Counts valid frames, frame skip included, and logs them as ``n_frames``.

    Args:
        frame_skip: environment frames per collected step.
        log_pbar: show the count on the progress bar.
    """

    state_fields = ("frame_count",)

    def __init__(self, frame_skip: int = 1, log_pbar: bool = False) -> None:
        self.frame_skip = frame_skip
        self.log_pbar = log_pbar
        self.frame_count = 0

    def register(self, trainer: TrainerLike, name: str = "count_frames_log") -> None:
        """Hang the hook on ``pre_steps_log``."""
        trainer.register_op("pre_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> dict[str, Any]:
        """Count a batch."""
        mask = frame_mask(batch)
        frames = batch.batch_size.numel() if mask is None else int(mask.sum())
        self.frame_count += frames * self.frame_skip
        return {"n_frames": Latest(self.frame_count), "log_pbar": self.log_pbar}
