"""A function of batches as a graph: what it computes, of which layouts, and what refuses it."""

from __future__ import annotations

import warnings

import pytest
import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.batch_graph import BatchGraph


def rows(count: int = 4, start: float = 0.0) -> TensorDict:
    x = torch.arange(3.0 * count).view(count, 3) + start
    return TensorDict({"x": x, "deep": {"y": x.sin()}}, batch_size=[count])


def weighing(weight: torch.Tensor):
    def weigh(batch: TensorDictBase) -> list[torch.Tensor]:
        return [batch["x"] @ weight, (batch["x"] + batch["deep", "y"]).sum(-1)]

    return weigh


@pytest.mark.usefixtures("either_way")
def test_every_layout_gives_what_the_function_gives_with_the_weights_of_now() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    graph = BatchGraph(weighing(weight), "weighing")
    for start, count in enumerate((4, 4, 6)):
        batch = rows(count, start)
        for found, expected in zip(graph(batch), weighing(weight)(batch), strict=True):
            torch.testing.assert_close(found, expected.detach())
            assert not found.requires_grad
        with torch.no_grad():
            weight.mul_(3)
    assert graph.refused is None


@pytest.mark.usefixtures("interpreted")
def test_the_function_is_traced_once_for_each_layout() -> None:
    traced = []

    def function(batch: TensorDictBase) -> list[torch.Tensor]:
        traced.append(tuple(batch.batch_size))
        return [batch["x"] + 1]

    graph = BatchGraph(function, "adding")
    for count in (4, 6, 4, 6):
        graph(rows(count))
    assert traced == [(4,), (6,)]


@pytest.mark.usefixtures("interpreted")
def test_weights_that_moved_are_read_where_they_are() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    graph = BatchGraph(weighing(weight), "weighing")
    graph(rows())
    weight.data = torch.full((3,), 5.0)
    torch.testing.assert_close(graph(rows())[0], rows()["x"].sum(-1) * 5)


@pytest.mark.usefixtures("interpreted")
def test_what_cannot_be_captured_is_carried_out_as_it_is_and_said_once() -> None:
    weight = torch.nn.Parameter(torch.ones(3))

    def function(batch: TensorDictBase) -> list[torch.Tensor]:
        return [batch["x"] @ weight if batch["x"].sum() > 0 else batch["x"].sum(-1)]

    graph = BatchGraph(function, "summing")
    with pytest.warns(UserWarning, match="summing is not captured"):
        found = graph(rows())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph(rows())
        BatchGraph(function, "summing", warns=False)(rows())
    assert graph.refused
    assert not found[0].requires_grad
    torch.testing.assert_close(found[0], function(rows())[0].detach())


@pytest.mark.usefixtures("interpreted")
def test_every_tensor_of_the_module_may_be_replaced() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 2))
    graph = BatchGraph(lambda batch: [module(batch["x"])], "passing", module=module)
    graph(rows())
    module[1].weight.data = torch.ones(2, 3)
    torch.testing.assert_close(graph(rows())[0], module(rows()["x"]).detach())
    module[1] = torch.nn.Linear(3, 2)
    torch.testing.assert_close(graph(rows())[0], module(rows()["x"]).detach())
    assert graph.refused is None
    module[0].bias.data = torch.ones(3)
    graph(rows())
    module[0].bias.data = torch.zeros(3)
    with pytest.warns(UserWarning, match="settings or tensors of its Sequential changed 4 times"):
        found = graph(rows())
    torch.testing.assert_close(found[0], module(rows()["x"]).detach())


@pytest.mark.usefixtures("interpreted")
def test_the_training_mode_of_the_module_is_seen() -> None:
    module = torch.nn.Dropout(1.0)
    graph = BatchGraph(lambda batch: [module(batch["x"])], "dropping", module=module)
    assert not graph(rows())[0].any()
    module.eval()
    assert torch.equal(graph(rows())[0], rows()["x"])


def test_entries_may_lie_otherwise_than_before() -> None:
    graph = BatchGraph(lambda batch: [batch["x"] * 2], "doubling")
    wide = torch.arange(20.0).view(4, 5)
    for x in (wide[:, :3].clone(), wide[:, :3], wide[:, ::2]):
        torch.testing.assert_close(graph(TensorDict({"x": x}, batch_size=[4]))[0], x * 2)
    assert graph.refused is None


class Averaging(torch.nn.Module):
    """Subtracts what it has seen so far, and keeps that in a buffer it replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return x - self.mean


@pytest.mark.usefixtures("interpreted")
def test_a_module_that_assigns_something_is_carried_out_as_it_is() -> None:
    module, expected = Averaging(), Averaging()
    graph = BatchGraph(lambda batch: [module(batch["x"])], "averaging", module=module)
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (found,) = graph(rows())
        torch.testing.assert_close(found, expected(rows()["x"]))
    assert "a forward pass assigns Averaging.mean" in str(graph.refused)
