"""What the tests of this folder train: the tiny trainer, with the names torchrl's hooks read."""

from __future__ import annotations

from typing import Any
from unittest import mock

from hookrl.testing import tiny
from hookrl.trainers import Trainer
from hookrl.trainers.torchrl_names import TorchrlNames


class InteropTrainer(Trainer, TorchrlNames):
    """`Trainer` itself, once it has the names and averages whatever a loss reports."""

    def log(self, metrics: Any) -> None:
        self._log_dict.remember(metrics)
        super().log(metrics)

    def record_losses(self, losses: Any) -> None:
        # torchrl's ClipPPOLoss reports an explained variance of shape [time, 1].
        super().record_losses(losses.apply(lambda value: value.double().mean(), batch_size=[]))


def make_trainer(**options: Any) -> InteropTrainer:
    with mock.patch.object(tiny, "Trainer", InteropTrainer):
        return tiny.tiny_trainer(**options)


def watch(trainer: Trainer, point: str) -> list[Any]:
    """Whatever hooks at the end of `point` are given, collected in a list."""
    seen: list[Any] = []
    trainer.register_op(point, lambda data: seen.append(data), priority=10**6)
    return seen


def logged(trainer: Trainer, name: str) -> list[float]:
    """The values of one metric, row by row."""
    return [row[name] for _, row in trainer.logger.rows if name in row]
