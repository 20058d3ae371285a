"""Ends training when a metric is good enough, or no longer gets better."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from hookrl.errors import InvalidValue, did_you_mean
from hookrl.hooks.base import TrainerHookBase, TrainerLike


class EarlyStopping(TrainerHookBase):
    """Watches one metric in the rows that are logged, and asks the trainer to stop.

    It looks at every row that has the metric, whether or not there is a logger, so ``log_interval``
    and the interval of whoever reports the metric say how often. The batch whose row it was is the
    last one.

    Args:
        monitor: name of the metric, such as ``"eval/mean_reward"``.
        threshold: stop when the metric is as good as this; None: however good.
        mode: "max" if larger is better, "min" if smaller.
        min_delta: what an improvement must exceed to count as one.
        patience: stop when this many frames went by without improvement; None: never.
        wait_for: frames in which nothing is decided or remembered.
        check_finite: stop when the metric is infinite or not a number.

    Raises:
        InvalidValue: for an unknown mode, negative numbers, or if nothing could ever stop training.
    """

    state_fields = ("best_score", "_best_frames")

    def __init__(
        self,
        monitor: str,
        *,
        threshold: float | None = None,
        mode: Literal["max", "min"] = "max",
        min_delta: float = 0.0,
        patience: int | None = None,
        wait_for: int = 0,
        check_finite: bool = True,
    ) -> None:
        if mode not in ("max", "min"):
            raise InvalidValue(
                f"mode={mode!r} of EarlyStopping{did_you_mean(mode, ('max', 'min'))}: expected "
                "'max' or 'min'."
            )
        if min_delta < 0 or wait_for < 0 or (patience is not None and patience < 0):
            raise InvalidValue(
                f"EarlyStopping(min_delta={min_delta}, patience={patience}, wait_for={wait_for}): "
                "expected none below 0."
            )
        if threshold is None and patience is None:
            raise InvalidValue(
                f"EarlyStopping on {monitor!r} has no reason to stop: expected a threshold, a "
                "patience, or both."
            )
        self.monitor = monitor
        self.threshold = threshold
        self.mode = mode
        self.min_delta = min_delta
        self.patience = patience
        self.wait_for = wait_for
        self.check_finite = check_finite
        self.best_score: float | None = None
        self._best_frames = 0
        self._seen: dict[str, None] = {}

    def register(self, trainer: TrainerLike, name: str = "early_stopping") -> None:
        """Hang on no point: the hook acts on rows of metrics."""
        trainer.register_module(name, self)

    def on_metrics(self, trainer: TrainerLike, row: Mapping[str, float]) -> None:
        """Judge a row, if it has the metric."""
        self._seen.update(dict.fromkeys(row))
        frames = trainer.collected_frames
        if self.monitor not in row or frames < self.wait_for:
            return
        score = row[self.monitor]
        if not math.isfinite(score):
            if self.check_finite:
                trainer.request_stop(f"{self.monitor} is {score} after {frames} frames")
            return
        sign = 1 if self.mode == "max" else -1
        if self.threshold is not None and sign * score >= sign * self.threshold:
            trainer.request_stop(f"{self.monitor} reached {score:g} after {frames} frames")
            return
        if self.best_score is None or sign * (score - self.best_score) > self.min_delta:
            self.best_score, self._best_frames = score, frames
        elif self.patience is not None and frames - self._best_frames >= self.patience:
            trainer.request_stop(
                f"{self.monitor} is no better than {self.best_score:g} since "
                f"{self._best_frames} frames"
            )

    def on_train_end(self, trainer: Any) -> None:
        """Warn of a metric that was never there, since nothing could have stopped training."""
        if self.best_score is None and self.monitor not in self._seen:
            warnings.warn(
                f"no row of metrics had {self.monitor!r}, which EarlyStopping watches"
                f"{did_you_mean(self.monitor, self._seen)}: "
                f"found {', '.join(self._seen) or 'no rows'}.",
                stacklevel=2,
            )
