"""Whole runs whose graphs are CUDA graphs, but for the recording, for which something stands in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from states import assert_same
from trainers.captured.runs_captured import RUNS, build

from hookrl import cuda_graph, graph


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has every graph be recorded; each makes an entry with the number of its launches."""
    launches: list[int] = []

    def record(function: Any, inputs: Any) -> tuple[Callable[[], None], list[torch.Tensor]]:
        number, outputs = len(launches), []
        launches.append(0)

        def replay() -> None:
            """Do it with the inputs as they are, and leave the outputs where they always are."""
            launches[number] += 1
            for place, output in enumerate(function(inputs)):
                if place == len(outputs):
                    outputs.append(output.clone())
                outputs[place].copy_(output)

        return replay, outputs

    monkeypatch.setattr(cuda_graph, "record", record)
    monkeypatch.setattr(graph, "_kinds", lambda tensors: {"cuda"})
    return launches


def state(trainer: Any) -> dict[str, Any]:
    whole = trainer.state_dict()
    optimizers = {name: part for name, part in whole["modules"].items() if "optimizer" in name}
    return {"loss_module": dict(whole["loss_module"]), "optimizers": optimizers}


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", [name for name in RUNS if "any length" not in name])
def test_a_recorded_run_does_what_one_without_recording_does(
    name: str, recorded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build(name, compile=True)
    trainer.train()
    assert sum(recorded) >= trainer.optim_steps - 3 * len(recorded) > 0
    monkeypatch.setattr(graph, "CudaGraph", lambda function: function)
    expected = build(name, compile=True)
    expected.train()
    assert_same(state(trainer), state(expected))


@pytest.mark.usefixtures("interpreted")
def test_rollouts_of_tensor_environments_and_values_are_recorded_too(
    recorded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"vectorization_mode": "tensor", "compile": True, "total_frames": 800}
    trainer = build("ppo", **settings)
    trainer.train()
    assert len(recorded) == 3
    monkeypatch.setattr(graph, "CudaGraph", lambda function: function)
    expected = build("ppo", **settings)
    expected.train()
    assert_same(state(trainer), state(expected))
