"""What is watched is asked for writes first, and ordinary training does not write to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from trainers.captured.runs_captured import RUNS, build

from hookrl.constants import Constants, Writes


class Sum(torch.nn.Module):
    scale = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 1)
        self.count = 3
        self.register_buffer("shift", torch.zeros(1))
        self.table = torch.zeros(1)


class Hook:
    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.calls = 0


def test_writes_are_noticed_once() -> None:
    module = Sum()
    writes = Writes([vars(module), vars(module.inner)])
    assert not writes.happened()
    module.inner.training = False
    assert writes.happened()
    assert not writes.happened()
    del module.count
    assert writes.happened()


def test_reading_is_no_write_nor_is_the_same_value_again() -> None:
    module = Sum()
    writes = Writes([vars(module), module._parameters, module._modules])
    assert module.inner(torch.ones(2)).shape == (1,)
    assert module.count == 3
    module.count = module.count
    module.train()
    assert not writes.happened()


SETTINGS: dict[str, tuple[Callable[[Sum, Hook], Any], list[str]]] = {
    "a whole number": (lambda m, h: setattr(m, "count", 4), ["Sum.count"]),
    "a number of the class": (lambda m, h: setattr(m, "scale", 3.0), ["Sum.scale"]),
    "the mode of all": (lambda m, h: m.eval(), ["Sum.training", "Linear.training"]),
    "a setting of a hook": (lambda m, h: setattr(h, "every", 2), ["Hook.every"]),
    "frozen": (lambda m, h: m.requires_grad_(False), ["whether a parameter is trained"]),
    "one that is no more": (lambda m, h: delattr(m, "count"), ["Sum.count"]),
}


@pytest.mark.parametrize(("change", "names"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_change_are_named(change: Any, names: list[str]) -> None:
    module, hook = Sum(), Hook()
    constants = Constants([module], [hook])
    before = constants.settings()
    hook.calls += 1
    assert constants.settings() == before
    assert constants.has_same_parts
    change(module, hook)
    after = constants.settings()
    assert after != before
    assert constants.settings() == after
    assert constants.changed(before, after) == names
    assert constants.has_same_parts


PARTS: dict[str, Callable[[Sum], Any]] = {
    "a layer": lambda m: setattr(m, "inner", torch.nn.Linear(2, 1)),
    "a parameter": lambda m: setattr(m.inner, "bias", torch.nn.Parameter(torch.zeros(1))),
    "a buffer": lambda m: setattr(m, "shift", torch.ones(1)),
    "where a buffer lies": lambda m: setattr(m.shift, "data", torch.ones(1)),
    "a tensor": lambda m: setattr(m, "table", torch.ones(1)),
}


@pytest.mark.parametrize("change", PARTS.values(), ids=PARTS)
def test_parts_that_are_replaced_are_noticed(change: Callable[[Sum], Any]) -> None:
    module = Sum()
    constants = Constants([module])
    settings = constants.settings()
    change(module)
    assert constants.settings() == settings  # asking for them first hides nothing
    assert not constants.has_same_parts
    assert not constants.has_same_parts


@pytest.mark.parametrize("name", RUNS)
def test_training_writes_to_nothing_that_is_watched(
    name: str, interpreted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(name, compile=True)
    found: list[bool] = []
    monkeypatch.setattr(Writes, "happened", counted(Writes.happened, found))
    batches: list[int] = []
    trainer.register_op("post_steps", lambda: batches.append(len(found)))
    trainer.train()
    # Tracing writes, and puts back what it found.
    last = found[batches[-2] : batches[-1]]
    assert last, "nothing was asked: the steps were eager"
    assert not any(last)


def counted(method: Callable[[Writes], bool], found: list[bool]) -> Callable[[Writes], bool]:
    def happened(self: Writes) -> bool:
        found.append(method(self))
        return found[-1]

    return happened
