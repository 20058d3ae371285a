"""What is read of a buffer while it goes on is what it held at one instant."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from states import assert_same
from tensordict import TensorDict

from hookrl.replay import PrioritizedSampler, ReplayBuffer
from hookrl.state import LiveTensor

ENVS = 3


def batch(steps: int, generator: torch.Generator) -> TensorDict:
    """A batch of noise in several types, with episodes that end."""

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(ENVS, steps, *shape, generator=generator)

    done = noise(1) > 1.5
    return TensorDict(
        {
            "observation": {"image": (noise(4, 2) * 50).to(torch.uint8), "speed": noise(3)},
            "action": noise(2).to(torch.bfloat16),
            "next": {
                "observation": {"image": (noise(4, 2) * 50).to(torch.uint8), "speed": noise(3)},
                "reward": noise(1),
                "done": done,
                "terminated": done,
                "truncated": torch.zeros_like(done),
            },
        },
        batch_size=[ENVS, steps],
    )


def filled(steps: int, capacity: int = 90, **options: Any) -> tuple[ReplayBuffer, torch.Generator]:
    generator = torch.Generator().manual_seed(steps)
    buffer = ReplayBuffer(capacity, batch_size=4, **options)
    for _ in range(steps // 5):
        buffer.extend(batch(5, generator))
    return buffer, generator


def materialized(value: Any, meanwhile: Any = lambda: None) -> Any:
    """Read live tensors, with something happening before each piece."""
    if isinstance(value, LiveTensor):
        content = bytearray()
        meanwhile()
        for piece in value.pieces():
            content += piece
            meanwhile()
        numbers = torch.frombuffer(content, dtype=torch.uint8).view(value.dtype)
        return numbers.view(value.shape)
    if isinstance(value, dict):
        return {key: materialized(item, meanwhile) for key, item in value.items()}
    return value


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookrl.replay.live._PIECE", 64)


@pytest.mark.parametrize("steps", [5, 20, 30, 45, 300], ids=lambda n: f"{n} steps of 30")
@pytest.mark.parametrize("meanwhile", [0, 1, 4, 29, 30, 31, 64], ids=lambda n: f"{n} meanwhile")
def test_it_is_as_it_was_however_much_comes_meanwhile(steps: int, meanwhile: int) -> None:
    buffer, generator = filled(steps, sampler=PrioritizedSampler())
    expected = buffer.state_dict()
    live = buffer.live_state_dict()

    def extend() -> None:
        if meanwhile:
            buffer.extend(batch(meanwhile, generator))
            index = torch.tensor([0])
            buffer.update_priority(index, torch.rand(1, generator=generator))

    assert_same(materialized(live, extend), expected)


@pytest.mark.parametrize("steps", [20, 45], ids=lambda n: f"{n} steps of 30")
@pytest.mark.parametrize("before", [0, 4], ids=lambda n: f"{n} before")
def test_what_is_loaded_meanwhile_changes_nothing(steps: int, before: int) -> None:
    buffer, generator = filled(steps)
    other, _ = filled(60)
    expected, live = buffer.state_dict(), buffer.live_state_dict()
    if before:  # so that some of what loading overwrites is put aside already
        buffer.extend(batch(before, generator))
    buffer.load_state_dict(other.state_dict())
    assert_same(materialized(live), expected)
    assert_same(buffer.state_dict(), other.state_dict())


def test_two_instants_are_kept_apart() -> None:
    buffer, generator = filled(45)
    states = []
    for _ in range(2):
        states.append((buffer.state_dict(), buffer.live_state_dict()))
        buffer.extend(batch(7, generator))
    for expected, live in states:
        assert_same(materialized(live), expected)


def test_any_number_of_columns_can_be_put_aside() -> None:
    buffer, generator = filled(300, capacity=ENVS * 300)
    expected, live = buffer.state_dict(), buffer.live_state_dict()
    for _ in range(9):
        buffer.extend(batch(30, generator))
    assert_same(materialized(live), expected)


def test_what_is_overwritten_while_it_is_read_is_replaced() -> None:
    buffer, generator = filled(45)
    expected, live = buffer.state_dict(), buffer.live_state_dict()
    assert buffer._store is not None
    (values,) = buffer._store._live
    grid = values._grids["action",]

    class Overwritten:
        """The ring's values, of which others come just before the first are read."""

        def __getitem__(self, where: Any) -> Any:
            values._grids["action",] = grid
            buffer.extend(batch(29, generator))
            return grid[where]

    values._grids["action",] = Overwritten()  # type: ignore[assignment]
    assert_same(materialized(live), expected)
    assert values.aside == 29


def test_nothing_is_put_aside_while_a_reader_looks_there() -> None:
    buffer, generator = filled(45)
    live = buffer.live_state_dict()
    assert buffer._store is not None
    (values,) = buffer._store._live
    writer = threading.Thread(target=buffer.extend, args=(batch(4, generator),))
    with values._lock:
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        assert values.aside == 0
    writer.join()
    assert values.aside == 4
    assert live


def test_a_buffer_in_files_is_read_the_same(tmp_path: Path) -> None:
    buffer, generator = filled(45, directory=tmp_path)
    expected, live = buffer.state_dict(), buffer.live_state_dict()
    assert_same(materialized(live, lambda: buffer.extend(batch(2, generator))), expected)


def test_an_empty_buffer_has_a_live_state() -> None:
    buffer = ReplayBuffer(10, batch_size=1)
    assert_same(buffer.live_state_dict(), buffer.state_dict())


def test_nothing_is_put_aside_when_all_is_read_or_nobody_reads() -> None:
    buffer, generator = filled(45)
    store = buffer._store
    assert store is not None
    live = buffer.live_state_dict()
    (values,) = store._live
    buffer.extend(batch(4, generator))
    assert values.aside == 4
    materialized(live)
    buffer.extend(batch(4, generator))
    assert values.aside == 4
    del values, live
    gc.collect()
    assert not store._live


def test_what_is_released_is_no_longer_put_aside() -> None:
    buffer, generator = filled(45)
    live = buffer.live_state_dict()["contents"]["values"]
    for tensor in live.values():
        tensor.release()
    assert buffer._store is not None
    (values,) = buffer._store._live
    buffer.extend(batch(4, generator))
    assert values.aside == 0


def test_it_costs_memory_only_for_what_is_overwritten() -> None:
    buffer, generator = filled(600, capacity=ENVS * 1000)
    live = buffer.live_state_dict()
    assert buffer._store is not None
    (values,) = buffer._store._live
    buffer.extend(batch(100, generator))  # into columns that were empty
    assert values.aside == 0
    buffer.extend(batch(350, generator))
    assert values.aside == 50
    assert len(live["contents"]["values"]) == len(np.unique(list(map(str, values.tensors))))
