"""Draws the learning curve when training ends."""

from __future__ import annotations

from pathlib import Path

from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.loggers.learning_curve import draw_learning_curve


class LearningCurve(TrainerHookBase):
    """When training ends in good order, draws the metrics that a `CSVLogger` wrote.

    Args:
        metrics: the CSV file.
        picture: the PNG file to draw.
        title: stands above the curve.
    """

    def __init__(self, metrics: str | Path, picture: str | Path, title: str = "") -> None:
        self.metrics = Path(metrics)
        self.picture = Path(picture)
        self.title = title

    def register(self, trainer: TrainerLike, name: str = "learning_curve") -> None:
        """Hang on no point: the hook acts when training ends."""
        trainer.register_module(name, self)

    def on_train_end(self, trainer: TrainerLike) -> None:
        """Draw, unless nothing was logged."""
        if self.metrics.exists():
            draw_learning_curve([self.metrics], self.picture, title=self.title)
