"""Trainers that fit a line through noise by captured steps, and whether those were captured."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict
from toys import ListCollector, make_batch

from hookrl.trainers import Trainer
from hookrl.trainers.captured import CapturedStep


def refused(trainer: Trainer) -> str | None:
    assert isinstance(trainer.step, CapturedStep)
    return trainer.step.refused


class Line(torch.nn.Module):
    """A line through noise, as a loss module with an entry for each transition."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.scale = 1.0

    def forward(self, batch: Any) -> TensorDict:
        error = batch["observation"] @ self.weight - 1
        batch["error"] = error.detach().abs()
        return TensorDict({"loss_line": self.scale * error.square().mean()}, batch_size=[])


def toy(batches: int = 4, steps: int = 3, **options: Any) -> Trainer:
    generator = torch.Generator().manual_seed(0)
    data = []
    for _ in range(batches):
        data.append(make_batch())
        data[-1]["observation"] = torch.randn(2, 5, 3, generator=generator)
    line = options.pop("loss_module", None) or Line()
    options.setdefault("optimizer", torch.optim.Adam(line.parameters(), lr=0.1))
    return Trainer(
        collector=ListCollector(data),
        total_frames=10**6,
        optim_steps_per_batch=steps,
        loss_module=line,
        progress_bar=False,
        compile=True,
        **options,
    )
