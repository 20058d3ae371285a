"""Logs how much a replay buffer holds."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from hookrl.errors import InvalidType
from hookrl.hooks.base import Latest, TrainerHookBase, TrainerLike


class BufferSize(TrainerHookBase):
    """Reports ``buffer/size``, the number of transitions that can be drawn.

    Args:
        replay_buffer: anything with a length; None: the trainer's, whichever that is by then.

    Raises:
        InvalidType: when it reports, if there is no such buffer.
    """

    def __init__(self, replay_buffer: Sized | None = None) -> None:
        self.replay_buffer = replay_buffer

    def register(self, trainer: TrainerLike, name: str = "buffer_size") -> None:
        """Hang the hook on ``pre_steps_log``."""
        trainer.register_op("pre_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Report the size after the batch was stored."""
        buffer = self._trainer.replay_buffer if self.replay_buffer is None else self.replay_buffer
        if buffer is None:
            raise InvalidType(
                "BufferSize knows of no replay buffer: expected one as its argument, or a "
                "ReplayBufferTrainer on the same trainer."
            )
        return {"buffer/size": Latest(len(buffer))}
