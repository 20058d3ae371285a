"""Which steps are carried out as the one before them, and that they are the steps of now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from states import assert_same
from trainers.captured.line import refused, toy
from trainers.captured.runs_captured import build

from hookrl.hooks import Minibatches, NaNGuard, TrainerHookBase
from hookrl.hooks.nan_guard import NonFiniteLoss
from hookrl.trainers import Trainer
from hookrl.trainers.captured.repeat import Repeat

pytestmark = pytest.mark.usefixtures("interpreted")


@pytest.fixture
def repeated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The indices of the steps that were carried out as the one before."""
    found: list[int] = []
    run = Repeat.run

    def recorded(repeat: Repeat, index: int) -> bool:
        found.append(index)
        return run(repeat, index)

    monkeypatch.setattr(Repeat, "run", recorded)
    return found


def test_all_but_the_first_of_a_batch(repeated: list[int]) -> None:
    build("ppo", compile=True).train()
    assert repeated == [*range(1, 16)] * 4


class Prepares(TrainerHookBase):
    capturable = True

    def register(self, trainer: Any, name: str = "prepares") -> None:
        trainer.register_op("post_optim", self, name=name)
        trainer.register_module(name, self)

    def prepare(self, trainer: Any) -> None: ...

    def __call__(self) -> None: ...


BETWEEN: dict[str, Callable[[Trainer], Any]] = {
    "a foreign hook that prepares": lambda t: Prepares().register(t),
    "a hook before": lambda t: t.register_op(
        "process_optim_batch", lambda batch: batch, name="before", priority=-1
    ),
    "a hook behind": lambda t: t.register_op("post_optim", lambda: None, name="behind"),
    "a hook that looks at the sub-batch": lambda t: t.register_op(
        "post_optim_log", lambda batch: {"rows": len(batch)}, name="looks"
    ),
}


@pytest.mark.parametrize("add", BETWEEN.values(), ids=BETWEEN)
def test_none_with_anything_in_between(add: Callable[[Trainer], Any], repeated: list[int]) -> None:
    trainer = build("ppo", compile=True)
    add(trainer)
    trainer.train()
    assert refused(trainer) is None
    assert not repeated


def test_none_where_lengths_vary(repeated: list[int]) -> None:
    build("ppo, minibatches of any length", compile=True).train()
    assert not repeated


def test_what_is_learned_is_the_same(repeated: list[int]) -> None:
    trainer, expected = build("ppo", compile=True), build("ppo", compile=True)
    expected.register_op("post_optim", lambda: None, name="behind")
    expected.train()
    assert not repeated
    trainer.train()
    assert repeated
    assert_same(dict(trainer.loss_module.state_dict()), dict(expected.loss_module.state_dict()))
    assert trainer.optim_steps == expected.optim_steps
    assert trainer.mean_losses == expected.mean_losses


def cut(*arguments: Any, **options: Any) -> Trainer:
    """Batches of ten frames in minibatches of two."""
    trainer = toy(*arguments, seed=0, **options)
    NaNGuard().register(trainer)
    Minibatches(5, keys=["observation"]).register(trainer)
    return trainer


def test_behind_an_eager_step_there_is_nothing_to_repeat(repeated: list[int]) -> None:
    weights = []
    for behind in (False, True):
        trainer = cut(3, 5)
        trainer.register_op("post_steps", leave_gradients(trainer))
        if behind:
            trainer.register_op("post_optim", lambda: None, name="behind")
        trainer.train()
        assert refused(trainer) is None
        weights.append(trainer.loss_module.weight.tolist())
        # Of each batch but the first, the first step is eager, and the next is looked at.
        assert repeated == [1, 2, 3, 4, 2, 3, 4, 2, 3, 4]
    assert weights[0] == weights[1]


def leave_gradients(trainer: Trainer) -> Callable[[], None]:
    def leave() -> None:
        weight: Any = trainer.loss_module.weight  # type: ignore[attr-defined]
        weight.grad = torch.ones_like(weight)

    return leave


def test_a_step_that_is_refused_says_why(repeated: list[int]) -> None:
    trainer = cut(1, 5)
    trainer.collector.batches[0]["observation"][0, 0, 0] = float("nan")
    with pytest.raises(NonFiniteLoss, match="loss_line is nan"):
        trainer.train()
    assert repeated == [*range(1, trainer.optim_steps + 1)]
    assert trainer.loss_module.weight.isfinite().all()


def test_it_ends_when_nothing_is_left(repeated: list[int]) -> None:
    trainer = cut(2, None)
    trainer.train()
    assert repeated == [1, 2, 3, 4, 5] * 2
    assert trainer.optim_steps == 10


def test_what_fails_while_preparing_names_its_hook(repeated: list[int]) -> None:
    trainer = cut(1, 5)
    minibatches = trainer.modules["minibatches"]
    prepare = minibatches.prepare

    def failing(itself: Any) -> None:
        if not minibatches._indices:
            prepare(itself)
        else:
            raise ZeroDivisionError

    minibatches.prepare = failing
    with pytest.raises(ZeroDivisionError) as info:
        trainer.train()
    assert repeated == [1]
    assert info.value.__notes__ == ["raised by prepare of hook Minibatches"]
