"""A glance tells of every change, and ordinary training is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from trainers.captured.runs_captured import RUNS, build

from hookrl.constants import Constants, Glance
from hookrl.trainers.captured.optimizers import TracedAdam


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


def test_changes_are_noticed_once() -> None:
    module = Sum()
    glance = Constants([module]).glance()
    assert glance.is_same()
    module.inner.training = False
    assert not glance.is_same()
    assert glance.is_same()
    del module.count
    assert not glance.is_same()


def test_reading_is_no_change_nor_is_the_same_value_again() -> None:
    module, hook = Sum(), Hook()
    glance = Constants([module], [hook]).glance()
    assert module.inner(torch.ones(2)).shape == (1,)
    assert module.count == 3
    module.count = module.count
    module.train()
    hook.calls += 1
    assert glance.is_same()


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
    glance, before = constants.glance(), constants.settings()
    hook.calls += 1
    assert constants.settings() == before
    assert constants.has_same_parts
    change(module, hook)
    assert not glance.is_same()
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
    glance, settings = constants.glance(), constants.settings()
    change(module)
    assert not glance.is_same()
    assert constants.settings() == settings
    assert not constants.has_same_parts


def _another_group(optimizer: torch.optim.Optimizer) -> None:
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})


BESIDE: dict[str, Callable[[torch.optim.Adam], Any]] = {
    "a setting": lambda o: o.param_groups[0].update(eps=1.0),
    "a group": _another_group,
    "a parameter of a group": lambda o: o.param_groups[0]["params"].pop(),
    "the parameters of a group": lambda o: o.param_groups[0].update(params=[]),
    "where a parameter lies": lambda o: setattr(
        o.param_groups[0]["params"][0], "data", torch.ones(1)
    ),
    "all its state": lambda o: o.load_state_dict(o.state_dict()),
}


@pytest.mark.parametrize("change", BESIDE.values(), ids=BESIDE)
def test_what_is_given_beside_is_looked_at_too(change: Callable[[torch.optim.Adam], Any]) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.Adam(parameters)
    traced = TracedAdam(optimizer)
    glance = Constants([Sum()]).glance(
        dictionaries=traced.dictionaries,
        groups=[optimizer.param_groups],
        settings=traced.settings,
    )
    optimizer.param_groups[0]["lr"] = 0.5
    assert glance.is_same()
    change(optimizer)
    assert not glance.is_same()


@pytest.mark.parametrize("name", RUNS)
def test_training_changes_nothing_that_is_looked_at(
    name: str, interpreted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(name, compile=True)
    found: list[bool] = []
    monkeypatch.setattr(Glance, "is_same", recorded(Glance.is_same, found))
    batches: list[int] = []
    trainer.register_op("post_steps", lambda: batches.append(len(found)))
    trainer.train()
    # Tracing writes, and puts back what it found.
    last = found[batches[-2] : batches[-1]]
    assert last, "nothing was asked: the steps were eager"
    assert all(last)


def recorded(method: Callable[[Glance], bool], found: list[bool]) -> Callable[[Glance], bool]:
    def is_same(self: Glance) -> bool:
        found.append(method(self))
        return found[-1]

    return is_same
