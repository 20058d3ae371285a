"""A function of batches as a graph: what it computes, of which layouts, and what refuses it."""

from __future__ import annotations

import warnings

import pytest
import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.batch_graph import BatchGraph


def rows(count: int = 4) -> TensorDict:
    return TensorDict(
        {"x": torch.arange(3.0 * count).view(count, 3), "deep": {"y": torch.ones(count, 3)}},
        batch_size=[count],
    )


def weighing(weight: torch.Tensor):
    def weigh(batch: TensorDictBase) -> list[torch.Tensor]:
        return [batch["x"] @ weight, (batch["x"] + batch["deep", "y"]).sum(-1)]

    return weigh


def check_computes() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    graph = BatchGraph(weighing(weight), "weighing")
    for count in (4, 4, 6):
        batch = rows(count)
        for found, expected in zip(graph(batch), weighing(weight)(batch), strict=True):
            torch.testing.assert_close(found, expected.detach())
            assert not found.requires_grad
        with torch.no_grad():
            weight.mul_(3)
    assert graph.refused is None


@pytest.mark.usefixtures("interpreted")
def test_every_layout_gives_what_the_function_gives_with_the_weights_of_now() -> None:
    check_computes()


def test_it_does_when_compiled() -> None:
    check_computes()


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
