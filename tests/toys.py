"""The smallest things a trainer can be built from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.loggers import Logger
from hookrl.trainers import Trainer


def make_batch(envs: int = 2, steps: int = 5, **entries: torch.Tensor) -> TensorDict:
    """A batch ``[envs, time]`` of zeros, with the given entries on top."""
    flag = torch.zeros(envs, steps, 1, dtype=torch.bool)
    batch = TensorDict(
        {
            "observation": torch.zeros(envs, steps, 3),
            "next": {
                "observation": torch.zeros(envs, steps, 3),
                "reward": torch.ones(envs, steps, 1),
                "done": flag,
                "terminated": flag.clone(),
                "truncated": flag.clone(),
            },
        },
        batch_size=(envs, steps),
    )
    for key, value in entries.items():
        batch["next", key] = value
    return batch


class QuadraticLoss(torch.nn.Module):
    """``weight²``, whatever the data: its gradient is known."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, tensordict: TensorDictBase) -> TensorDict:
        return TensorDict({"loss_value": self.weight**2}, batch_size=[])


class MemoryLogger(Logger):
    """Keeps the rows it is given."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.closed = False

    def log_metrics(self, metrics: Any, step: int) -> None:
        self.rows.append((step, dict(metrics)))

    def close(self) -> None:
        self.closed = True


class ListCollector:
    """Gives prepared batches and remembers whether it was closed."""

    def __init__(self, batches: Iterable[TensorDict]) -> None:
        self.batches = list(batches)
        self.closed = False

    def __iter__(self) -> Any:
        return iter(self.batches)

    def shutdown(self) -> None:
        self.closed = True


def make_trainer(
    batches: int | Iterable[TensorDict] = 3, *, with_optimizer: bool = True, **options: Any
) -> Trainer:
    """A trainer over batches of 10 frames that takes two optimization steps on each."""
    loss_module = options.pop("loss_module", None) or QuadraticLoss()
    data = [make_batch() for _ in range(batches)] if isinstance(batches, int) else batches
    optimizer = torch.optim.SGD(loss_module.parameters(), lr=0.1) if with_optimizer else None
    defaults: dict[str, Any] = {
        "collector": ListCollector(data),
        "total_frames": 10**6,
        "optim_steps_per_batch": 2,
        "loss_module": loss_module,
        "optimizer": optimizer,
        "logger": MemoryLogger(),
        "log_interval": 1,
        "progress_bar": False,
    }
    return Trainer(**{**defaults, **options})
