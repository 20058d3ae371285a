"""What the tests of this folder train, and what they look at."""

from __future__ import annotations

from typing import Any

from hookrl.testing import tiny_trainer
from hookrl.trainers import Trainer

InteropTrainer = Trainer
make_trainer = tiny_trainer


def watch(trainer: Trainer, point: str) -> list[Any]:
    """Whatever hooks at the end of `point` are given, collected in a list."""
    seen: list[Any] = []
    trainer.register_op(point, lambda data: seen.append(data), priority=10**6)
    return seen


def logged(trainer: Trainer, name: str) -> list[float]:
    """The values of one metric, row by row."""
    return [row[name] for _, row in trainer.logger.rows if name in row]
