"""Checkpoint files and directories: exact, replaced as a whole, nothing left behind."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
import torchsnapshot
from hypothesis import given, settings
from states import DTYPES, assert_same, states
from tensordict import MemoryMappedTensor

from hookrl.checkpoints import BACKENDS, chosen_backend, load, save
from hookrl.errors import InvalidType, InvalidValue, MissingFile

both_backends = pytest.mark.parametrize("backend", BACKENDS)
OLD = {"weights": torch.zeros(3), "step": 1}
NEW = {"weights": torch.ones(4, 2), "step": 2, "note": (None, 2**100)}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def left_behind(path: Path) -> set[str]:
    """What lies beside a checkpoint and does not belong to it."""
    return names(path.parent) - {path.name, path.resolve().name}


@both_backends
@settings(deadline=None, max_examples=25)
@given(state=states)
def test_a_state_comes_back_as_it_was(backend: str, state: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save(state, Path(folder) / "state", backend)
        assert_same(load(Path(folder) / "state"), state)


@both_backends
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_type_come_back(backend: str, dtype: torch.dtype, tmp_path: Path) -> None:
    odd, square = torch.arange(5).to(dtype), torch.arange(4).to(dtype).reshape(2, 2)
    state = [odd, odd[:0], odd[:0].reshape(2, 0), odd[3], odd[::2], square.t(), odd[:1:2]]
    save(state, tmp_path / "state", backend)
    assert_same(load(tmp_path / "state"), state)


@both_backends
def test_missing_folders_are_made(backend: str, tmp_path: Path) -> None:
    save(OLD, tmp_path / "a" / "b" / "state", backend)
    assert_same(load(tmp_path / "a" / "b" / "state"), OLD)


def test_a_torch_checkpoint_needs_no_unpickling(tmp_path: Path) -> None:
    save(NEW, tmp_path / "state.pt", "torch")
    content = torch.load(tmp_path / "state.pt", weights_only=True)
    assert torch.ones(4, 2).equal(next(iter(content["tensors"].values())))


def test_a_torchsnapshot_checkpoint_opens_as_its_users_expect(tmp_path: Path) -> None:
    save(NEW, tmp_path / "state", "torchsnapshot")
    snapshot = torchsnapshot.Snapshot(str(tmp_path / "state"))
    (key,) = [key for key in snapshot.get_manifest() if "/tensors/" in key]
    assert torch.ones(4, 2).equal(snapshot.read_object(key))


def test_a_torchsnapshot_checkpoint_can_be_moved_by_its_folder(tmp_path: Path) -> None:
    save(NEW, tmp_path / "run" / "state", "torchsnapshot")
    (tmp_path / "run").rename(tmp_path / "renamed")
    assert_same(load(tmp_path / "renamed" / "state"), NEW)


# ---------------------------------------------------------------- replacing


@pytest.mark.parametrize("backends", [*itertools.product(BACKENDS, BACKENDS)], ids="-then-".join)
def test_a_checkpoint_replaces_one_of_either_format_and_leaves_nothing_behind(
    backends: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "state"
    save(OLD, path, backends[0])
    save(NEW, path, backends[1])
    assert_same(load(path), NEW)
    assert not left_behind(path)


@both_backends
def test_a_value_that_cannot_be_saved_leaves_the_old_checkpoint_alone(
    backend: str, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    save(OLD, path, backend)
    with pytest.raises(InvalidType, match="the state at /a is a set"):
        save({"a": {1}}, path, backend)
    assert_same(load(path), OLD)
    assert not left_behind(path)


@both_backends
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_checkpoint_readable(
    backend: str, failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise OSError("no space left on device")

    path = tmp_path / "state"
    save(OLD, path, backend)
    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="no space left"):
            save(NEW, path, backend)
    assert_same(load(path), OLD)
    save(NEW, path, backend)
    assert_same(load(path), NEW)
    assert not left_behind(path)


def test_a_failing_snapshot_leaves_the_old_one_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, *args: Any) -> None:
        Path(path).mkdir()
        (Path(path) / "half").touch()
        raise OSError("no space left on device")

    path = tmp_path / "state"
    save(OLD, path, "torchsnapshot")
    monkeypatch.setattr(torchsnapshot.Snapshot, "take", fail)
    with pytest.raises(OSError, match="no space left"):
        save(NEW, path, "torchsnapshot")
    assert_same(load(path), OLD)
    assert not left_behind(path)


def test_checkpoints_with_similar_names_keep_out_of_each_others_way(tmp_path: Path) -> None:
    found = ["a", "a.v1", "a.v1.v2", "a[1]", "*", ".a", "a.vx"]
    for _ in range(2):
        for number, name in enumerate(found):
            save({"number": number}, tmp_path / name, "torchsnapshot")
    assert [load(tmp_path / name)["number"] for name in found] == list(range(len(found)))
    assert len(names(tmp_path)) == 2 * len(found)


@both_backends
def test_a_directory_that_is_no_checkpoint_is_not_replaced(backend: str, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    with pytest.raises(InvalidValue, match="is a directory that is no checkpoint"):
        save(OLD, tmp_path / "precious", backend)
    assert names(tmp_path) == {"precious"}


# ---------------------------------------------------------------- what is stored


def test_a_slice_is_stored_without_the_rest_of_its_buffer(tmp_path: Path) -> None:
    save({"filled": torch.zeros(10**6)[:10]}, tmp_path / "state", "torch")
    assert (tmp_path / "state").stat().st_size < 10_000


@both_backends
def test_a_memory_mapped_tensor_is_stored_by_value(backend: str, tmp_path: Path) -> None:
    mapped = MemoryMappedTensor.from_tensor(torch.arange(4.0), filename=tmp_path / "mapped")
    save({"buffer": mapped}, tmp_path / "state", backend)
    mapped.fill_(7)
    assert load(tmp_path / "state")["buffer"].tolist() == [0, 1, 2, 3]


@both_backends
def test_a_checkpoint_does_not_change_with_what_was_saved(backend: str, tmp_path: Path) -> None:
    state = {"weights": torch.zeros(3)}
    save(state, tmp_path / "state", backend)
    state["weights"].fill_(1)
    assert not load(tmp_path / "state")["weights"].any()


@both_backends
def test_saving_and_loading_draw_no_random_numbers(backend: str, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    save(NEW, tmp_path / "state", backend)
    load(tmp_path / "state")
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- choosing and refusing


@both_backends
def test_the_environment_variable_chooses_the_backend(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_BACKEND", backend)
    save(OLD, tmp_path / "state")
    assert chosen_backend() == backend
    assert (tmp_path / "state").is_dir() == (backend == "torchsnapshot")


def test_without_the_environment_variable_it_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CKPT_BACKEND", raising=False)
    assert chosen_backend() == "torch"


def test_a_misspelt_environment_variable_is_answered_with_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_BACKEND", "torchsnapshoot")
    with pytest.raises(InvalidValue) as caught:
        save(OLD, tmp_path / "state")
    assert str(caught.value) == (
        "CKPT_BACKEND='torchsnapshoot' (did you mean 'torchsnapshot'?): expected one of torch, "
        "torchsnapshot."
    )
    assert not names(tmp_path)


def test_a_misspelt_argument_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"backend='torhc' \(did you mean 'torch'\?\)"):
        save(OLD, tmp_path / "state", "torhc")
    assert not names(tmp_path)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"there is no checkpoint .*state\.$"):
        load(tmp_path / "state")


def test_other_files_and_folders_are_no_checkpoints(tmp_path: Path) -> None:
    torch.save({"model": torch.zeros(3)}, tmp_path / "model.pt")
    (tmp_path / "folder").mkdir()
    entry = torchsnapshot.StateDict(a=1)
    torchsnapshot.Snapshot.take(str(tmp_path / "foreign"), {"app": entry})
    for name in ("model.pt", "folder", "foreign"):
        with pytest.raises(InvalidValue, match="but no checkpoint"):
            load(tmp_path / name)
