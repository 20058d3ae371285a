"""Gives unused memory of the CUDA allocator back from time to time."""

from __future__ import annotations

from typing import Any

import torch

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.pace import paced


class ClearCudaCache(TrainerHookBase):
    """Empties the CUDA cache ahead of every `interval`-th inner loop.

    It makes room for other processes on the device, at the price of allocating afresh. Where CUDA
    is not in use it does nothing.

    Args:
        interval: batches between two times; 0: never.

    Raises:
        InvalidValue: for a negative interval.
    """

    def __init__(self, interval: int) -> None:
        if interval < 0:
            raise InvalidValue(f"interval={interval} of ClearCudaCache: expected 0 or more.")
        self.interval = interval

    def register(self, trainer: TrainerLike, name: str = "clear_cuda_cache") -> None:
        """Hang the hook on ``pre_optim_steps``."""
        trainer.register_op("pre_optim_steps", self, name=name)
        trainer.register_module(name, self)

    @paced(every="_every")
    def __call__(self, *args: Any) -> None:
        """Empty the cache, whatever the point gives."""
        if self.interval:
            torch.cuda.empty_cache()

    @property
    def _every(self) -> int:
        return max(self.interval, 1)
