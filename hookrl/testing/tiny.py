"""The smallest real trainer: a few frames, two parameters, and nothing left to chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.errors import InvalidValue
from hookrl.loggers import Logger
from hookrl.state import same_keys
from hookrl.trainers import Trainer

SHORTEST_EPISODE = 3


def tiny_batch(index: int = 0, *, envs: int = 2, steps: int = 4) -> TensorDict:
    """Return batch number `index` of an endless stream, in the full layout ``[envs, time]``.

    Environment ``e`` plays episodes of ``3 + e`` steps; those of even environments terminate, those
    of odd ones are truncated. Everything is a formula of environment and frame, so that batches
    follow on each other exactly and equal arguments give equal batches, in new memory.

    Args:
        index: how many batches came before.
        envs: environments.
        steps: of each environment.

    Raises:
        InvalidValue: for an `index` below 0, or `envs` or `steps` below 1.
    """
    if index < 0 or envs < 1 or steps < 1:
        raise InvalidValue(
            f"tiny_batch(index={index}, envs={envs}, steps={steps}): expected an index of at least "
            "0, and at least 1 environment and step."
        )
    env = torch.arange(envs).unsqueeze(1)
    frame = torch.arange(index * steps, (index + 1) * steps).expand(envs, steps)
    length = SHORTEST_EPISODE + env
    episode, step = frame // length, frame % length

    def observation(step: torch.Tensor) -> torch.Tensor:
        angle = 0.5 * step + env + 0.1 * episode
        return torch.stack([angle.sin(), angle.cos(), step / length], dim=-1)

    done = step + 1 == length
    terminated, truncated = done & (env % 2 == 0), done & (env % 2 == 1)
    not_yet = torch.zeros(envs, steps, 1, dtype=torch.bool)
    return TensorDict(
        {
            "observation": observation(step),
            "action": (frame + env) % 2,
            "done": not_yet,
            "terminated": not_yet.clone(),
            "truncated": not_yet.clone(),
            "next": {
                "observation": observation(step + 1),
                "reward": (0.7 * frame + env).cos().unsqueeze(-1),
                "done": done.unsqueeze(-1),
                "terminated": terminated.unsqueeze(-1),
                "truncated": truncated.unsqueeze(-1),
            },
            "collector": {"traj_ids": episode * envs + env},
        },
        batch_size=(envs, steps),
    )


class TinyCollector:
    """Gives `tiny_batch` after `tiny_batch`; iterated again, or resumed, it goes on.

    Args:
        batch: if given, every batch is a copy of this one.
        envs: environments, if `batch` is not given.
        steps: of each environment, if `batch` is not given.
    """

    def __init__(
        self, batch: TensorDictBase | None = None, *, envs: int = 2, steps: int = 4
    ) -> None:
        self.batch = batch
        self.envs = envs
        self.steps = steps
        self.position = 0
        """Batches given so far."""

    def __iter__(self) -> Iterator[TensorDictBase]:
        while True:
            index = self.position
            self.position += 1
            if self.batch is None:
                yield tiny_batch(index, envs=self.envs, steps=self.steps)
            else:
                yield self.batch.clone()

    def state_dict(self) -> dict[str, Any]:
        """How many batches were given."""
        return {"position": self.position}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on behind as many batches."""
        same_keys(state_dict, ("position",), owner="TinyCollector")
        self.position = int(state_dict["position"])


class TinyLoss(torch.nn.Module):
    """``(weight × x + bias − 1)²``, where x is the mean of everything real in the batch.

    Whatever a hook changes in a batch therefore shows in the loss. Gives ``loss_value``, and
    ``kl_approx`` for hooks that watch a divergence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))
        self.bias = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, tensordict: TensorDictBase) -> TensorDict:
        """Return the losses of a batch of any layout."""
        means = [
            value.double().mean()
            for value in tensordict.values(include_nested=True, leaves_only=True)
            if isinstance(value, torch.Tensor) and value.is_floating_point()
        ]
        x = torch.stack(means).mean().to(self.weight) if means else torch.zeros_like(self.weight)
        error = self.weight * x + self.bias - 1.0
        return TensorDict({"loss_value": error.square(), "kl_approx": error.detach().abs()})


class MemoryLogger(Logger):
    """Keeps what is logged: ``rows`` of collected frames and metrics."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.closed = False

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep a row."""
        self.closed = False
        self.rows.append((step, dict(metrics)))

    def close(self) -> None:
        """Remember that training closed it."""
        self.closed = True


def tiny_trainer(**options: Any) -> Trainer:
    """Return a `Trainer` that collects three batches of eight frames, with two steps on each.

    Its logger is a `MemoryLogger` that receives a row after every batch, and it is seeded.

    Args:
        **options: any argument of `Trainer`, in place of the tiny one. Without an ``optimizer``,
            the loss module's parameters are optimized by SGD; ``optimizer=None`` leaves that to
            hooks.
    """
    loss_module = options.pop("loss_module", None) or TinyLoss()
    if "optimizer" not in options:
        options["optimizer"] = torch.optim.SGD(loss_module.parameters(), lr=0.1, momentum=0.9)
    tiny: dict[str, Any] = {
        "collector": TinyCollector(),
        "total_frames": 24,
        "optim_steps_per_batch": 2,
        "logger": MemoryLogger(),
        "log_interval": 1,
        "progress_bar": False,
        "seed": 0,
    }
    return Trainer(loss_module=loss_module, **{**tiny, **options})
