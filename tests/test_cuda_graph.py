"""Recorded functions; on the host, where a stand-in records, all but the recording itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from hookrl import cuda_graph
from hookrl.cuda_graph import CudaGraph


class Recorder:
    """Does with the inputs it was given what the function does, whenever it is told to."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, function: Any, inputs: Any) -> tuple[Callable[[], None], Sequence[Any]]:
        self.recorded += 1
        outputs: list[torch.Tensor] = []

        def replay() -> None:
            outputs[:] = function(inputs)

        return replay, outputs


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    stand_in = Recorder()
    monkeypatch.setattr(cuda_graph, "record", stand_in)
    return stand_in


def counting() -> tuple[torch.Tensor, CudaGraph]:
    """A function with state: it counts its calls, and adds the count."""
    count = torch.zeros(())

    def function(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        x, y = inputs
        count.add_(1)
        return [x + y + count]

    return count, CudaGraph(function)


def check_calls_are_those_of_the_function(device: str) -> None:
    count = torch.zeros((), device=device)

    def function(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        x, y = inputs
        count.add_(1)
        return [x + y + count]

    graph, kept = CudaGraph(function), torch.ones(2, device=device)
    results = []
    for call in range(1, 9):
        if call == 6:
            kept.mul_(10)  # in place
        results.append(graph([kept, torch.full((2,), float(call), device=device)])[0])
    assert count.item() == 8
    expected = [(10 if call >= 6 else 1) + call + call for call in range(1, 9)]
    assert [result.tolist() for result in results] == [[value, value] for value in expected]


def test_calls_are_those_of_the_function_and_results_are_kept(recorder: Recorder) -> None:
    check_calls_are_those_of_the_function("cpu")
    assert recorder.recorded == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_calls_are_those_of_the_function_on_a_gpu() -> None:
    check_calls_are_those_of_the_function("cuda")


def test_the_first_runs_are_ordinary(recorder: Recorder) -> None:
    _, graph = counting()
    for _ in range(3):
        graph([torch.zeros(1), torch.zeros(1)])
    assert recorder.recorded == 0
    graph([torch.zeros(1), torch.zeros(1)])
    assert recorder.recorded == 1


def test_an_input_that_did_not_change_is_not_copied_again(recorder: Recorder) -> None:
    _, graph = counting()
    same, copies = torch.zeros(1), []
    for call in range(6):
        graph([same, torch.full((1,), float(call))])
        if graph._static:
            copies.append([tensor._version for tensor in graph._static])
    assert copies == [[1, 1], [1, 2], [1, 3]]
