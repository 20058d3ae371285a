"""Both formats: exact, open to their usual readers, mapped rather than read."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.testing._internal.distributed.fake_pg  # makes a backend that needs no others
import torchsnapshot
from hypothesis import given, settings
from states import DTYPES, assert_same, bits, states
from tensordict import MemoryMappedTensor

from hookrl.checkpoints import BACKENDS, decode, encode
from hookrl.checkpoints.disk import DISK
from hookrl.checkpoints.payload import NAMES, read_payload, read_state, write_payload
from hookrl.errors import InvalidValue
from hookrl.state import LiveTensor

both_backends = pytest.mark.parametrize("backend", BACKENDS)
OPEN_FILES = Path("/proc/self/fd")
CHUNK = "TORCHSNAPSHOT_MAX_CHUNK_SIZE_BYTES_OVERRIDE"
SLAB = "TORCHSNAPSHOT_SLAB_SIZE_THRESHOLD_BYTES_OVERRIDE"
BATCHING = "TORCHSNAPSHOT_DISABLE_BATCHING"
SETTINGS = [{}, {CHUNK: "64"}, {SLAB: "100"}, {BATCHING: "1"}, {CHUNK: "100", BATCHING: "1"}]

NUMBERS = {"numbers": torch.arange(5)}


def write(state: Any, folder: Path, backend: str) -> Path:
    write_payload(encode(state), folder, backend, DISK)
    return folder / NAMES[backend]


def read(path: Path) -> Any:
    return read_state(path)


def variety(dtype: torch.dtype) -> list[torch.Tensor]:
    """Tensors of a type: odd, empty, without dimensions, with gaps, in other orders."""
    line, square = torch.arange(5).to(dtype), torch.arange(24).to(dtype).reshape(2, 3, 4)
    return [
        *(line, line[:0], line[:0].reshape(2, 0), line[3], line[::2], line[:1:2], line[3:4]),
        *(square, square.transpose(0, 1), square.permute(2, 0, 1), square[:, 1], square[:, :, 1:2]),
        *(line[:1].expand(4), line.expand(3, 5)),
    ]


@both_backends
@settings(deadline=None, max_examples=25)
@given(state=states)
def test_a_state_comes_back_as_it_was(backend: str, state: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_same(read(write(state, Path(folder), backend)), state)


@both_backends
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_type_come_back(backend: str, dtype: torch.dtype, tmp_path: Path) -> None:
    state = variety(dtype)
    assert_same(read(write(state, tmp_path, backend)), state)


class Live(LiveTensor):
    """A tensor that is handed out in pieces of a few bytes."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.dtype, self.shape = tensor.dtype, tuple(tensor.shape)
        self.content = bits(tensor).numpy().tobytes()

    def pieces(self) -> Iterator[memoryview]:
        for start in range(0, len(self.content), 7):
            yield memoryview(self.content[start : start + 7])

    def release(self) -> None:
        pass


@both_backends
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_live_tensors_of_every_type_come_back(
    backend: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    tensors = [tensor.contiguous() for tensor in variety(dtype)]
    state = {"before": torch.arange(5), "live": [Live(t) for t in tensors], "after": tensors}
    loaded = read(write(state, tmp_path, backend))
    assert_same(loaded, {**state, "live": tensors})


def test_torchsnapshot_reads_live_tensors(tmp_path: Path) -> None:
    square = torch.randn(3, 4)
    path = write({"live": Live(square), "other": square + 1}, tmp_path, "torchsnapshot")
    snapshot = torchsnapshot.Snapshot(str(path))
    for name, expected in (("t0", square), ("t1", square + 1)):
        assert torch.equal(snapshot.read_object(f"0/checkpoint/tensors/{name}"), expected)
    state = torchsnapshot.StateDict(
        skeleton="", kinds="", tensors={"t0": torch.empty(3, 4), "t1": torch.empty(3, 4)}
    )
    snapshot.restore({"checkpoint": state})
    assert torch.equal(state["tensors"]["t0"], square)


@both_backends
def test_the_order_in_memory_comes_back(backend: str, tmp_path: Path) -> None:
    square = torch.randn(3, 4, 5, 6)
    state = [square, square.transpose(0, 2), square.contiguous(memory_format=torch.channels_last)]
    loaded = read(write(state, tmp_path, backend))
    assert [tensor.stride() for tensor in loaded] == [tensor.stride() for tensor in state]


@both_backends
def test_what_has_gaps_comes_back_without(backend: str, tmp_path: Path) -> None:
    square = torch.randn(4, 6).t()
    loaded = read(write([square[:, ::2], square[:1].expand(4, 4)], tmp_path, backend))
    assert [tensor.stride() for tensor in loaded] == [(2, 1), (4, 1)]


@both_backends
def test_tensors_that_shared_memory_come_back_apart(backend: str, tmp_path: Path) -> None:
    whole = torch.zeros(1000, 100)
    one, other, part = read(write([whole, whole, whole[:500]], tmp_path, backend))
    one.fill_(1)
    assert not other.any()
    assert not part.any()


@both_backends
def test_a_slice_is_stored_without_the_rest_of_its_buffer(backend: str, tmp_path: Path) -> None:
    write({"filled": torch.zeros(10**6)[:10]}, tmp_path, backend)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 10_000


@both_backends
def test_a_memory_mapped_tensor_is_stored_by_value(backend: str, tmp_path: Path) -> None:
    mapped = MemoryMappedTensor.from_tensor(torch.arange(4.0), filename=tmp_path / "mapped")
    path = write({"buffer": mapped}, tmp_path, backend)
    mapped.fill_(7)
    assert read(path)["buffer"].tolist() == [0, 1, 2, 3]


@both_backends
def test_a_state_without_tensors_will_do(backend: str, tmp_path: Path) -> None:
    assert read(write({"step": 1}, tmp_path, backend)) == {"step": 1}


@both_backends
def test_names_with_any_characters_will_do(backend: str, tmp_path: Path) -> None:
    state = {"a/../b": torch.ones(1), "\ud800\0é": torch.ones(2), "": torch.ones(3)}
    assert_same(read(write(state, tmp_path, backend)), state)


# ---------------------------------------------------------------- mapping


@both_backends
def test_changing_a_loaded_tensor_does_not_change_the_file(backend: str, tmp_path: Path) -> None:
    state = {"large": torch.arange(100_000), "small": torch.arange(3)}
    path = write(state, tmp_path, backend)
    loaded = read(path)
    for tensor in loaded.values():
        tensor.fill_(-1)
    assert_same(read(path), state)


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says so")
@both_backends
def test_reading_a_large_tensor_takes_no_memory(backend: str, tmp_path: Path) -> None:
    large = torch.zeros(50_000_000)
    large[-1] = 1
    path = write({"small": torch.ones(1), "large": large}, tmp_path, backend)
    del large
    before = resident()
    loaded = read(path)["large"]
    assert resident() - before < 20_000_000
    assert loaded[-1] == 1
    assert loaded.nbytes == 200_000_000


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="only Linux says so")
@both_backends
def test_reading_many_tensors_does_not_keep_many_files_open(backend: str, tmp_path: Path) -> None:
    state = [torch.full((100_000,), n) for n in range(30)]
    path = write(state, tmp_path, backend)
    before = len(os.listdir(OPEN_FILES))
    loaded = read(path)
    assert len(os.listdir(OPEN_FILES)) <= before + 1
    assert_same(loaded, state)


def test_a_snapshot_larger_than_memory_is_read(tmp_path: Path) -> None:
    size = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    path = write([Live(torch.zeros(1, dtype=torch.uint8))], tmp_path, "torchsnapshot")
    metadata = path / ".snapshot_metadata"
    # As if it had been that long: a hole takes no room on the disk.
    metadata.write_text(metadata.read_text().replace("[1]", f"[{size}]"))
    os.truncate(path / "0/checkpoint/tensors/t0", size)
    (loaded,) = read(path)
    assert loaded.shape == (size,)
    loaded[-1] = 7
    assert loaded[-3:].tolist() == [0, 0, 7]


def chunks(path: Path) -> int:
    """Of the first tensor in a snapshot."""
    metadata = json.loads((path / ".snapshot_metadata").read_text())
    entry = metadata["manifest"]["0/checkpoint/tensors/t0"]
    return len(entry["chunks"]) if entry["type"] == "ChunkedTensor" else 1


def test_a_tensor_is_stored_in_one_piece_however_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchsnapshot.knobs, "_DEFAULT_MAX_CHUNK_SIZE_BYTES", 1000)
    path = write({"a": torch.zeros(10_000)}, tmp_path, "torchsnapshot")
    assert chunks(path) == 1
    assert CHUNK not in os.environ


def test_a_size_of_chunks_that_the_user_has_set_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHUNK, "1000")
    state = {"a": torch.arange(10_000)}
    path = write(state, tmp_path, "torchsnapshot")
    assert chunks(path) == 80
    assert os.environ[CHUNK] == "1000"
    assert_same(read(path), state)


def test_a_snapshot_that_fails_leaves_the_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        assert CHUNK in os.environ
        raise OSError("is full")

    monkeypatch.setattr(torchsnapshot.Snapshot, "take", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write({}, tmp_path, "torchsnapshot")
    assert CHUNK not in os.environ


@pytest.fixture(params=[0, 1])
def rank(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of this process, while others do not answer."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("fake", store=store, rank=request.param, world_size=2)
    yield request.param
    torch.distributed.destroy_process_group()


@both_backends
def test_one_of_several_processes_can_save_alone(backend: str, rank: int, tmp_path: Path) -> None:
    if (backend, rank) == ("torchsnapshot", 1):
        with pytest.raises(InvalidValue, match="process 1 cannot save with the backend 'torchsna"):
            write(NUMBERS, tmp_path, backend)
    else:
        assert_same(read(write(NUMBERS, tmp_path, backend)), NUMBERS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no other device")
@both_backends
def test_tensors_of_another_device_come_back_on_the_cpu(backend: str, tmp_path: Path) -> None:
    state = [tensor.cuda() for tensor in variety(torch.float32)]
    loaded = read(write(state, tmp_path, backend))
    assert_same(loaded, [tensor.cpu() for tensor in state])
    assert {tensor.device.type for tensor in loaded} == {"cpu"}


# ---------------------------------------------------------------- other readers


def test_torch_opens_it_without_unpickling(tmp_path: Path) -> None:
    state = [tensor for dtype in DTYPES for tensor in variety(dtype)]
    content = torch.load(write(state, tmp_path, "torch"), weights_only=True)
    assert_same(decode(content["skeleton"], content["tensors"]), state)


@pytest.mark.parametrize("options", SETTINGS, ids=lambda options: "+".join(options) or "usual")
def test_torchsnapshot_reads_the_same(
    options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in options.items():
        monkeypatch.setenv(name, value)
    dtypes = DTYPES[2::4] if options else DTYPES
    state = [tensor for dtype in dtypes for tensor in variety(dtype)]
    path = write(state, tmp_path, "torchsnapshot")
    skeleton, tensors = read_payload(path)
    assert_same(decode(skeleton, tensors), state)
    snapshot = torchsnapshot.Snapshot(str(path))
    assert snapshot.read_object("0/checkpoint/skeleton") == skeleton
    stored = {key for key in snapshot.get_manifest() if "/tensors/" in key}
    assert len(stored) == sum(bool(tensor.numel()) for tensor in tensors.values())
    for name, tensor in tensors.items():
        if tensor.numel():
            found = snapshot.read_object(f"0/checkpoint/tensors/{name}")
            in_memory = tensor.as_strided((tensor.numel(),), (1,))
            assert torch.equal(bits(found), bits(in_memory))
            if tensor.is_contiguous() and found.dtype == tensor.dtype:
                assert found.shape == tensor.shape
            if tensor.dtype in (torch.float32, torch.int64, torch.bool):
                assert found.dtype == tensor.dtype


@pytest.mark.parametrize(("name", "value"), [(SLAB, "100"), (BATCHING, "1")])
def test_tensors_are_found_in_one_file_or_in_several(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = [torch.arange(100), torch.arange(7.0), torch.ones(40)]

    def files(folder: Path) -> int:
        folder.mkdir()
        path = write(state, folder, "torchsnapshot")
        assert_same(read(path), state)
        return len([file for file in path.rglob("*") if file.is_file()])

    assert files(tmp_path / "usual") == 2
    monkeypatch.setenv(name, value)
    assert files(tmp_path / "other") == 4


# ---------------------------------------------------------------- refusing


@both_backends
def test_nothing_is_no_checkpoint(backend: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"state is neither a file nor a directory\.$"):
        read_payload(tmp_path / "state")


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_text("hello")
    with pytest.raises(InvalidValue, match=r"state\.pt cannot be read as a checkpoint .BadZipFile"):
        read_payload(tmp_path / "state.pt")


def test_a_pickle_that_would_run_something_is_refused_by_name(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    torch.save({"skeleton": "1", "tensors": {"t0": Evil()}}, tmp_path / "state.pt")
    with pytest.raises(InvalidValue) as caught:
        read_payload(tmp_path / "state.pt")
    assert str(caught.value) == (
        f"{tmp_path}/state.pt asks for 'posix.system', which is never loaded."
    )


def test_a_skeleton_that_makes_no_sense_is_refused_with_its_place(tmp_path: Path) -> None:
    torch.save({"skeleton": "[1]", "tensors": {}}, tmp_path / "state.pt")
    with pytest.raises(InvalidValue) as caught:
        read_state(tmp_path / "state.pt")
    assert str(caught.value) == (
        f"{tmp_path}/state.pt cannot be read as a checkpoint: the skeleton of the state has a list "
        "that says not what it is."
    )


def test_an_error_of_the_medium_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({"a": torch.ones(2)}, tmp_path, "torch")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(OSError, match="Input/output error"):
        read_payload(path)
