"""Logs a statistic of any entry of the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.errors import InvalidValue, did_you_mean
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.tensordicts import frame_mask

_REDUCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "min": torch.min,
    "max": torch.max,
}


class LogScalar(TrainerHookBase):
    """Reduces an entry of each collected batch to a number; frames masked out do not count.

    Args:
        key: entry of the batch.
        logname: name of the metric; by default made from the key.
        log_pbar: show it on the progress bar.
        include_std: log the standard deviation as well, as ``<logname>_std``.
        reduction: "mean", "sum", "min" or "max".

    Raises:
        InvalidValue: for another reduction.
    """

    def __init__(
        self,
        key: NestedKey = ("next", "reward"),
        logname: str | None = None,
        log_pbar: bool = False,
        include_std: bool = True,
        reduction: str = "mean",
    ) -> None:
        if reduction not in _REDUCTIONS:
            raise InvalidValue(
                f"reduction={reduction!r} of LogScalar{did_you_mean(reduction, _REDUCTIONS)}: "
                f"expected one of {', '.join(_REDUCTIONS)}."
            )
        self.key = key
        self.reads = (key,)
        self.logname = logname or (key if isinstance(key, str) else "/".join(map(str, key)))
        self.log_pbar = log_pbar
        self.include_std = include_std
        self.reduction = reduction

    def register(self, trainer: TrainerLike, name: str | None = None) -> None:
        """Hang the hook on ``pre_steps_log``."""
        name = name or f"log_{self.logname}"
        trainer.register_op("pre_steps_log", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> dict[str, Any] | None:
        """Reduce the entry, unless no frame is valid; the result stays on its device."""
        values = batch[self.key]
        mask = frame_mask(batch)
        if mask is not None:
            values = values[mask]
        if not values.numel():
            return None
        values = values.float()
        metrics: dict[str, Any] = {self.logname: _REDUCTIONS[self.reduction](values)}
        if self.include_std and values.numel() > 1:
            metrics[f"{self.logname}_std"] = values.std()
        return {**metrics, "log_pbar": self.log_pbar}
