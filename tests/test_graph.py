"""A traced function computes what the function does, where its tensors lie."""

from __future__ import annotations

import inspect

import pytest
import torch

from hookrl.graph import Graph, NotCapturable

ROWS = torch.arange(12.0).reshape(4, 3)


def learning(weight: torch.nn.Parameter, counts: torch.Tensor):
    """A function that reads rows, steps a weight down its gradient, and counts."""

    def step(rows: torch.Tensor, index: torch.Tensor) -> list[torch.Tensor]:
        with torch.enable_grad():
            loss = (rows[index] @ weight).square().mean()
            (gradient,) = torch.autograd.grad(loss, [weight])
        with torch.no_grad():
            weight.sub_(gradient, alpha=0.01)
            counts.add_(1)
        return [loss.detach(), gradient]

    return step


@pytest.mark.usefixtures("either_way")
def test_a_graph_learns_where_the_weights_lie() -> None:
    ours, theirs = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    counts = torch.zeros(())
    graph = Graph(learning(ours, counts), [ROWS, torch.tensor([0, 1])])
    assert ours.tolist() == [1, 1, 1]  # tracing computes nothing
    assert counts.item() == 0
    expected = learning(theirs, torch.zeros(()))
    for index in ([0, 1], [3, 2], [1, 1]):
        rows = ROWS + index[0]
        found = graph(rows, torch.tensor(index))
        for one, other in zip(found, expected(rows, torch.tensor(index)), strict=True):
            torch.testing.assert_close(one, other)
        torch.testing.assert_close(ours, theirs)
    assert counts.item() == 3
    assert ours.grad is None


@pytest.mark.usefixtures("interpreted")
def test_moved_weights_are_noticed() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    graph = Graph(learning(weight, torch.zeros(())), [ROWS, torch.tensor([0])])
    assert graph.is_current
    weight.data = torch.ones(3)
    assert not graph.is_current


@pytest.mark.usefixtures("either_way")
def test_a_result_may_be_an_input() -> None:
    def function(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        y.add_(x)
        doubled = x * 2
        return [x, y, doubled, doubled[:2]]

    x, y = torch.ones(4, 3), torch.zeros(4, 3)
    graph = Graph(function, [x, y])
    for times in (1, 2):
        found = graph(x, y)
        for one, other in zip(found, [x, x * times, x * 2, x[:2] * 2], strict=True):
            torch.testing.assert_close(one, other)
        assert found[0].data_ptr() == x.data_ptr()
        assert found[1].data_ptr() == y.data_ptr()


def test_a_compiled_graph_is_called_without_the_compilers_wrappers() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    graph = Graph(learning(weight, torch.zeros(())), [ROWS, torch.tensor([0, 1])])
    run = inspect.getclosurevars(graph._run).nonlocals["compiled"]
    assert run.__qualname__.startswith("_wrap_func")


def picking(rows: torch.Tensor, index: torch.Tensor) -> list[torch.Tensor]:
    """Tells long from short, which a graph cannot."""
    picked = rows[index]
    return [picked.mean(0) if index.shape[0] > 3 else picked.sum(0)]


@pytest.mark.usefixtures("either_way")
def test_one_graph_serves_every_length_that_was_not_told_apart() -> None:
    graph = Graph(picking, [ROWS, torch.tensor([0, 1, 2, 3])], varying=[1])
    for index in ([0, 1, 2, 3], [3, 2, 1, 0, 0, 1, 1], [0, 0, 1, 1, 2]):
        inputs = [ROWS, torch.tensor(index)]
        assert graph.fits(inputs)
        torch.testing.assert_close(graph(*inputs)[0], picking(*inputs)[0])
    for index in ([1, 2, 3], [1], []):
        assert not graph.fits([ROWS, torch.tensor(index)])


@pytest.mark.usefixtures("interpreted")
def test_a_length_that_python_counted_with_is_the_only_one() -> None:
    graph = Graph(lambda rows: [rows * len(rows)], [ROWS], varying=[0])
    assert graph.fits([ROWS])
    assert not graph.fits([ROWS[:3]])


@pytest.mark.usefixtures("interpreted")
def test_a_length_of_one_is_a_graph_of_its_own() -> None:
    graph = Graph(picking, [ROWS, torch.tensor([2])], varying=[1])
    assert graph.fits([ROWS, torch.tensor([1])])
    assert not graph.fits([ROWS, torch.tensor([1, 2])])


@pytest.mark.usefixtures("interpreted")
def test_what_depends_on_a_number_is_refused() -> None:
    def step(rows: torch.Tensor) -> list[torch.Tensor]:
        return [rows * 2 if rows.sum().item() > 0 else rows]

    with pytest.raises(NotCapturable, match="item|data-dependent|DataDependent"):
        Graph(step, [ROWS])


def test_a_compiler_that_fails_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise FileNotFoundError("g++\nis not there")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", fail)
    with pytest.raises(
        NotCapturable, match=r"cannot be compiled here \(FileNotFoundError: g\+\+\)"
    ):
        Graph(lambda rows: [rows + 1], [ROWS])
