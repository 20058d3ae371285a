"""The same training by eager and by captured steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDict
from toys import ListCollector, make_batch
from trainers.captured.line import refused

from hookrl.trainers import Trainer

Change = Callable[[Trainer], Any]


class Net(torch.nn.Module):
    """A small network through noise, with all that may be changed about one."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.net = torch.nn.Sequential(
                torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
            )
        self.scale: float | None = 1
        self.weights = (1.0, 1.0)
        self.coefficient = torch.tensor(1.0)
        self.register_buffer("shift", torch.tensor(1.0))
        self.drop = torch.nn.Dropout(0.5)
        self.drop.eval()

    def forward(self, batch: Any) -> TensorDict:
        error = self.drop(self.net(batch["observation"]))[..., 0] - self.shift
        loss = error.square().mean() * (1 if self.scale is None else self.scale)
        return TensorDict({"loss_net": loss * self.weights[0] * self.coefficient})


def data(batches: int = 6) -> list[TensorDict]:
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(batches):
        found.append(make_batch())
        found[-1]["observation"] = torch.randn(2, 5, 3, generator=generator)
    return found


def trainer_of(loss: Any, *, compile: bool, steps: int = 3, **options: Any) -> Trainer:
    options.setdefault("optimizer", torch.optim.Adam(loss.parameters(), lr=0.05))
    options.setdefault("collector", ListCollector(data()))
    return Trainer(
        total_frames=10**6,
        optim_steps_per_batch=steps,
        loss_module=loss,
        progress_bar=False,
        compile=compile,
        seed=1,
        **options,
    )


def once(trainer: Trainer, change: Change, point: str = "post_steps", count: int = 3) -> None:
    """Have something changed, once, in the middle of training."""
    calls = 0

    def operation(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == count:
            change(trainer)

    trainer.register_op(point, operation, name="change")


def weights(loss: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in loss.parameters()]


def compare(
    prepare: Change = lambda trainer: None, make: Callable[[], Any] = Net, **options: Any
) -> str | None:
    """Train eager and captured; return why the second was not."""
    found = []
    for compile in (False, True):
        loss = make()
        own = {name: option(loss) for name, option in options.items()}
        trainer = trainer_of(loss, compile=compile, **own)
        prepare(trainer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.train()
        found.append(weights(loss))
    for captured, eager in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(captured, eager, rtol=1e-4, atol=1e-5)
    return refused(trainer)
