"""Writing beside training."""

from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from states import assert_same

from hookrl.checkpoints import BACKENDS, CheckpointStore, background, encode
from hookrl.checkpoints.background import BackgroundWriter


@pytest.fixture
def writer() -> Iterator[BackgroundWriter]:
    writer = BackgroundWriter()
    yield writer
    writer.wait()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds a job back until it is set."""
    event = threading.Event()
    yield event
    event.set()


def fail() -> None:
    raise OSError("no space left")


def finish(writer: BackgroundWriter) -> None:
    """Wait without asking how it ended."""
    while writer.busy:
        pass


def test_a_job_runs_beside_the_caller(writer: BackgroundWriter, gate: threading.Event) -> None:
    done: list[int] = []
    writer.submit(lambda: (gate.wait(), done.append(threading.get_ident())))
    assert writer.busy
    assert not done
    gate.set()
    writer.wait()
    assert not writer.busy
    assert len(done) == 1
    assert done[0] != threading.get_ident()


def test_jobs_run_one_after_the_other(writer: BackgroundWriter) -> None:
    done: list[int] = []
    for number in range(20):
        writer.submit(lambda number=number: done.append(number))
        assert done[:number] == [*range(number)]
    writer.wait()
    assert done == [*range(20)]


def test_submitting_waits_for_the_job_before(
    writer: BackgroundWriter, gate: threading.Event
) -> None:
    done: list[str] = []
    writer.submit(lambda: (gate.wait(), done.append("first")))
    threading.Timer(0.05, gate.set).start()
    writer.submit(lambda: done.append("second"))
    assert done[0] == "first"


def test_polling_does_not_wait(writer: BackgroundWriter, gate: threading.Event) -> None:
    writer.poll()
    writer.submit(gate.wait)
    writer.poll()
    assert writer.busy


@pytest.mark.parametrize("ask", ["wait", "poll"])
def test_what_went_wrong_is_raised_once(ask: str, writer: BackgroundWriter) -> None:
    writer.submit(fail)
    finish(writer)
    with pytest.raises(OSError, match="no space left"):
        getattr(writer, ask)()
    writer.wait()
    writer.poll()


def test_what_went_wrong_is_raised_before_the_next_job_begins(writer: BackgroundWriter) -> None:
    done: list[int] = []
    writer.submit(fail)
    with pytest.raises(OSError, match="no space left"):
        writer.submit(lambda: done.append(1))
    writer.wait()
    assert not done
    writer.submit(lambda: done.append(2))
    writer.wait()
    assert done == [2]


def test_the_traceback_is_that_of_the_job(writer: BackgroundWriter) -> None:
    writer.submit(fail)
    with pytest.raises(OSError, match="no space left") as caught:
        writer.wait()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].name == "fail"


def test_an_interrupt_in_a_job_is_raised_too(writer: BackgroundWriter) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    writer.submit(interrupt)
    with pytest.raises(KeyboardInterrupt):
        writer.wait()


def test_an_interrupt_of_the_caller_leaves_the_job_running(
    writer: BackgroundWriter, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    done: list[int] = []
    writer.submit(lambda: (gate.wait(), done.append(1)))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.wait()
    assert writer.busy
    gate.set()
    writer.wait()
    assert done == [1]


def test_a_process_that_ends_lets_the_job_finish(tmp_path: Path) -> None:
    script = f"""
import importlib.util, pathlib, time
spec = importlib.util.spec_from_file_location("background", {background.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
def job():
    time.sleep(0.2)
    pathlib.Path({str(tmp_path / "done")!r}).touch()
module.BackgroundWriter().submit(job)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_checkpoints_can_be_written_beside_training(
    backend: str, tmp_path: Path, writer: BackgroundWriter
) -> None:
    store = CheckpointStore(tmp_path, backend=backend)
    weights = torch.zeros(1000)
    for step in range(1, 4):
        weights += 1
        encoded = encode({"weights": weights.clone()})
        writer.submit(lambda step=step, encoded=encoded: store.write(step, encoded))
    weights += 1
    writer.wait()
    assert_same(store.read()[0], {"weights": torch.full((1000,), 3.0)})
    assert store.frames() == [2, 3]
