"""Looking at checkpoints: what is in them, whether they are sound, how they differ."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from hookrl.checkpoints import BACKENDS, CheckpointStore, CorruptCheckpoint, encode, save
from hookrl.checkpoints.inspect import diff, inspect, verify
from hookrl.errors import InvalidValue, MissingFile

both_backends = pytest.mark.parametrize("backend", BACKENDS)


def state(step: int) -> dict[str, Any]:
    return {
        "counters": {"frames": step, "note": None},
        "weights": torch.arange(6.0).reshape(2, 3) * step,
        "generator": (3, tuple(range(step, step + 20))),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two checkpoints of a run, and one at a path of its own."""
    store = CheckpointStore(tmp_path / "run")
    for step in (1, 2):
        store.write(10 * step, encode(state(step)), {"frames": step, "metrics": {"return": 1.5}})
    for step in (1, 2):
        save(state(step), tmp_path / "state", "torchsnapshot")
    return tmp_path


# ---------------------------------------------------------------- inspect


@both_backends
def test_a_listing_names_all_there_is(backend: str, tmp_path: Path) -> None:
    save(state(2), tmp_path / "state", backend, {"frames": 2})
    listing = inspect(tmp_path / "state")
    assert listing.manifest.backend == backend
    assert listing.manifest.about == {"frames": 2}
    assert [(entry.path, entry.kind, entry.size) for entry in listing.entries] == [
        ("/counters/frames", "int", None),
        ("/counters/note", "NoneType", None),
        ("/weights", "float32 [2, 3]", 24),
        ("/generator/0", "int", None),
        ("/generator/1", "tuple of 20", None),
    ]
    assert listing.entries[0].value == 2
    assert listing.entries[2].spread == (0, 10, 5, 0)


def test_a_listing_can_be_read(folder: Path) -> None:
    listing = inspect(folder / "run")
    assert (
        str(listing)
        == f"""\
{folder}/run/000000000020
  backend: torch
  bytes: {listing.manifest.size:,}
  beside it: 10
  frames: 2
  metrics/return: 1.5
5 entries, 1 of them tensors:
  /counters/frames  2
  /counters/note  None
  /weights  float32 [2, 3]  24 bytes  0 to 10, mean 5
  /generator/0  3
  /generator/1  (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18…"""
    )


def test_nans_and_empty_tensors_are_told(tmp_path: Path) -> None:
    save([torch.tensor([float("nan"), 1.0]), torch.zeros(0, 2)], tmp_path / "state")
    assert str(inspect(tmp_path / "state")).endswith(
        "/0  float32 [2]  8 bytes  1 to 1, mean 1, 1 NaN\n  /1  float32 [0, 2]  0 bytes"
    )


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("run", 20),
        ("run/latest", 20),
        ("run/000000000010", 10),
        ("run/latest/state.pt", 20),
        ("state", 2),
        (".state.versions/000000000001", 1),
        (".state.versions", 2),
    ],
)
def test_a_path_may_be_of_one_of_them_or_of_their_folder(
    path: str, number: int, folder: Path
) -> None:
    assert inspect(folder / path).manifest.number == number


def test_the_folder_one_is_in_can_be_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "run")
    assert inspect(".").manifest.number == 20
    assert verify(".").sound
    assert not diff(".", "../state").differences


@pytest.mark.parametrize("ask", [inspect, verify, lambda path: diff(path, path)])
def test_what_is_not_there_or_no_checkpoint_is_named(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"there is no checkpoint .*nothing\.$"):
        ask(tmp_path / "nothing")
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(InvalidValue, match=r"is no checkpoint with a manifest\.json: expected"):
            ask(path)


def test_a_damaged_checkpoint_is_not_listed(folder: Path) -> None:
    (folder / "run" / "latest" / "state.pt").write_bytes(b"")
    with pytest.raises(CorruptCheckpoint, match=r"'state\.pt' has 0 bytes, expected"):
        inspect(folder / "run")


def test_looking_changes_nothing(folder: Path) -> None:
    def found() -> list[tuple[str, int]]:
        return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))

    before = found()
    inspect(folder / "run")
    verify(folder / "state")
    diff(folder / "run", folder / "state")
    assert found() == before


# ---------------------------------------------------------------- verify


def test_sound_checkpoints_are_told_the_newest_first(folder: Path) -> None:
    found = verify(folder / "run")
    assert found.sound
    assert str(found) == "\n".join(
        f"{folder}/run/{name}: sound\n  manifest.json: sound\n  state.pt: sound"
        for name in ("000000000020", "000000000010")
    )


def test_of_a_single_checkpoint_all_versions_are_looked_at(folder: Path) -> None:
    found = verify(folder / "state")
    assert [check.directory.name for check in found.checkpoints] == ["000000000002", "000000000001"]
    assert found.sound


def test_one_checkpoint_of_several_can_be_looked_at(folder: Path) -> None:
    (check,) = verify(folder / "run" / "000000000010").checkpoints
    assert check.directory.name == "000000000010"


def test_everything_that_is_wrong_is_told(folder: Path) -> None:
    directory = folder / "run" / "000000000020"
    content = bytearray((directory / "state.pt").read_bytes())
    content[100] ^= 1
    (directory / "state.pt").write_bytes(content)
    (directory / "more").touch()
    (folder / "run" / "000000000010" / "manifest.json").unlink()
    found = verify(folder / "run")
    assert not found.sound
    assert (
        str(found)
        == f"""\
{directory}: DAMAGED
  manifest.json: sound
  state.pt: has changed
  more: is not of this checkpoint
{folder}/run/000000000010: DAMAGED
  manifest.json: the checkpoint {folder}/run/000000000010 lacks its manifest.json."""
    )


def test_what_has_the_right_hashes_but_makes_no_sense_is_told(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    from faults.malice import seal

    manifest = save(1, tmp_path / "state")
    directory = (tmp_path / "state").resolve().parent
    torch.save({"skeleton": "1", "tensors": {"t0": Evil()}}, directory / "state.pt")
    seal(directory, manifest)
    (check,) = verify(tmp_path / "state").checkpoints
    assert not check.sound
    assert "asks for 'posix.system', which is never loaded" in str(check)


def test_an_exchanged_checkpoint_is_told(folder: Path) -> None:
    (folder / "run" / "000000000020").rename(folder / "run" / "000000000030")
    newest = verify(folder / "run").checkpoints[0]
    assert "says that it is number 20" in str(newest.files["manifest.json"])


# ---------------------------------------------------------------- diff


def test_equal_states_have_no_differences(folder: Path) -> None:
    found = diff(folder / "run", folder / "state")
    assert (found.equal, found.differences) == (5, [])
    assert str(found) == (
        f"{folder}/run/000000000020 and {folder}/.state.versions/000000000002: 5 entries are "
        "equal, and there are no others."
    )


def test_differences_are_told(tmp_path: Path) -> None:
    one = {
        "same": torch.ones(3),
        "gone": torch.zeros(2),
        "weights": torch.zeros(4),
        "shape": torch.zeros(3),
        "type": torch.zeros(1),
        "frames": 10,
        "flag": 1,
        "nan": float("nan"),
        "kind": torch.zeros(1),
    }
    other = {
        "same": torch.ones(3),
        "weights": torch.tensor([0.0, 0.5, -0.25, 0.0]),
        "shape": torch.zeros(4),
        "type": torch.zeros(1, dtype=torch.float64),
        "frames": 20,
        "flag": True,
        "nan": float("nan"),
        "kind": None,
        "new": "text",
    }
    save(one, tmp_path / "one")
    save(other, tmp_path / "other", "torchsnapshot")
    found = diff(tmp_path / "one", tmp_path / "other")
    assert found.equal == 2
    assert found.differences[1].change == (2, 0.5)
    assert str(found).splitlines()[1:] == [
        "  /gone  only in the first: float32 [2]",
        "  /weights  2 of 4 elements, by at most 0.5",
        "  /shape  float32 [3] → float32 [4]",
        "  /type  float32 [1] → float64 [1]",
        "  /frames  10 → 20",
        "  /flag  1 → True",
        "  /kind  float32 [1] → None",
        "  /new  only in the second: 'text'",
    ]


def test_a_nan_that_has_come_is_told(tmp_path: Path) -> None:
    save(torch.zeros(2), tmp_path / "one")
    save(torch.tensor([0.0, float("nan")]), tmp_path / "other")
    assert str(diff(tmp_path / "one", tmp_path / "other")).endswith(
        "/  1 of 2 elements, by at most NaN"
    )


def test_long_values_are_cut(tmp_path: Path) -> None:
    save("a" * 1000, tmp_path / "one")
    save("b" * 1000, tmp_path / "other")
    (difference,) = diff(tmp_path / "one", tmp_path / "other").differences
    assert len(str(difference)) < 150
