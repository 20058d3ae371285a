"""Logs how much is learned from how much data."""

from __future__ import annotations

from typing import Any

from hookrl.hooks.base import Latest, TrainerHookBase


class UTDRHook(TrainerHookBase):
    """Reports ``utd_ratio``, the optimization steps so far per transition that was collected.

    That is the update-to-data ratio of Chen et al. (REDQ, 2021). Beside it stand its two parts,
    ``update_count`` and ``write_count``; torchrl's hook of this name multiplies by the size of a
    sample what here is left alone.

    Args:
        trainer: whose steps are counted. Transitions are those that its replay buffer has taken in
            (its ``write_count``); without such a count, the collected frames.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def register(self, trainer: Any, name: str = "utdr_hook") -> None:
        """Hang the hook on ``post_steps_log``: a batch's frames and steps are both counted."""
        trainer.register_op("post_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: Any) -> dict[str, Any] | None:
        """Report the counts, unless there is no data yet."""
        written = getattr(self.trainer.replay_buffer, "write_count", None)
        written = self.trainer.collected_frames if written is None else int(written)
        if not written:
            return None
        return {
            "utd_ratio": Latest(self.trainer.optim_steps / written),
            "write_count": Latest(written),
            "update_count": Latest(self.trainer.optim_steps),
        }
