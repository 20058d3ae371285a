"""What is measured on a GPU runs, if only for a moment and on the CPU."""

import json
from types import SimpleNamespace

import pytest

from benchmarks.gpu import worker
from benchmarks.gpu.worker import measure
from benchmarks.gpu.works import COMPILED, CUDA_GRAPHS, EAGER, WARM_UP, WORKS
from hookrl import cuda_graph, graph


def brief(name, mode):
    work = WORKS[name]
    return measure(work, mode, "cpu", amount=4 if work.updates else 512, envs=8)


@pytest.mark.parametrize("name", WORKS)
def test_eager(name):
    figures = brief(name, EAGER)
    assert figures["count"] == (4 if WORKS[name].updates else 512)
    assert figures["fps"] == pytest.approx(figures["count"] / figures["seconds"], rel=0.5)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", WORKS)
def test_compiled(name, monkeypatch):
    """No graph is recorded, wherever it lies."""
    monkeypatch.setattr(graph, "_kinds", lambda tensors: {"cuda"})
    monkeypatch.setattr(cuda_graph, "record", None)
    assert brief(name, COMPILED)["count"] > 0


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", WORKS)
def test_cuda_graphs(name, monkeypatch):
    """Something stands in for recording, which needs a GPU."""
    launches = []

    def record(function, inputs):
        outputs = []

        def replay():
            launches.append(1)
            outputs[:] = function(inputs)

        return replay, outputs

    monkeypatch.setattr(graph, "_kinds", lambda tensors: {"cuda"})
    monkeypatch.setattr(cuda_graph, "record", record)
    count = brief(name, CUDA_GRAPHS)["count"]
    steps = count if WORKS[name].updates else 16 * count // (8 * 32)
    assert len(launches) >= steps


def test_graphs_that_are_not_there_are_not_reported():
    with pytest.raises(RuntimeError, match="none was recorded on cpu"):
        worker._check(_Trainer(None), CUDA_GRAPHS, "cpu", [])
    with pytest.raises(RuntimeError, match="asked for, but steps were eager: too strange"):
        worker._check(_Trainer("too strange"), COMPILED, "cpu", [])
    uncompiled = _Trainer(None)
    uncompiled.collector = SimpleNamespace(compile=False)
    with pytest.raises(RuntimeError, match="steps of environments were eager"):
        worker._check(uncompiled, COMPILED, "cpu", [])


class _Trainer:
    def __init__(self, refused):
        self.step = self
        self.collector = None
        self.refused = refused


def test_all_that_needs_time_once_is_over_when_the_clock_starts():
    assert WARM_UP * 1 > cuda_graph._WARM_UP + 1  # an update makes one step for each batch


def test_figures_are_the_last_line(monkeypatch, capsys):
    monkeypatch.setattr(worker, "measure", lambda work, mode, device, **options: options)
    worker.main(["dqn_update", EAGER, "--device", "cpu", "--amount", "3"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures == {"amount": 3, "envs": None, "seed": 0}
