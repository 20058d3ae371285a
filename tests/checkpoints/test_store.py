"""The checkpoints of a run: which are kept, where the pointers are, and how a run begins."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from states import assert_same

from hookrl.checkpoints import BACKENDS, CheckpointStore, CorruptCheckpoint, encode
from hookrl.errors import ExistingFile, InvalidType, InvalidValue, MissingFile


def state(frames: int) -> dict[str, Any]:
    return {"frames": frames, "weights": torch.full((3,), float(frames))}


def write(store: CheckpointStore, *frames: int, **metrics: float | None) -> None:
    """Write checkpoints, all with the same metrics."""
    for each in frames:
        store.write(each, encode(state(each)), {"metrics": metrics})


def score(store: CheckpointStore, scores: dict[int, Any]) -> None:
    """Write checkpoints, each with its own value of the metric "return"; None: without."""
    for frames, value in scores.items():
        metrics = {} if value is None else {"return": value}
        store.write(frames, encode(state(frames)), {"metrics": metrics})


def pointer(store: CheckpointStore, name: str) -> str | None:
    path = store.folder / name
    return os.readlink(path) if path.is_symlink() else None


def names(store: CheckpointStore) -> set[str]:
    return {path.name for path in store.folder.iterdir()}


def damage(store: CheckpointStore, frames: int) -> None:
    (store.versions.path(frames) / "manifest.json").write_bytes(b"{}")


# ---------------------------------------------------------------- writing and reading


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_latest_checkpoint_comes_back(backend: str, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "run" / "checkpoints", backend=backend)
    write(store, 10, 20, loss=0.5)
    content, manifest = store.read()
    assert_same(content, state(20))
    assert manifest.about == {"metrics": {"loss": 0.5}}
    assert manifest.backend == backend
    assert store.latest() == 20


def test_an_older_checkpoint_comes_back_by_its_frames(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 10, 20)
    assert_same(store.read(10)[0], state(10))
    with pytest.raises(MissingFile, match=r"has no checkpoint 15: expected one of 10, 20\.$"):
        store.read(15)


def test_the_folder_is_laid_out_as_documented(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_best="return")
    score(store, {10: 2.0, 20: 1.0})
    assert names(store) == {"000000000010", "000000000020", "latest", "best"}
    assert pointer(store, "latest") == "000000000020"
    assert pointer(store, "best") == "000000000010"


def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "run", keep_best="return")
    assert (store.frames(), store.latest(), store.best()) == ([], None, None)
    with pytest.raises(MissingFile, match="there is no checkpoint in"):
        store.read()
    assert not store.folder.exists()


def test_the_same_frames_again_replace(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 10, 20)
    store.write(20, encode({"second": True}))
    assert store.frames() == [10, 20]
    assert store.read()[0] == {"second": True}
    assert names(store) == {"000000000010", "000000000020.1", "latest"}
    assert pointer(store, "latest") == "000000000020.1"
    write(store, 30)
    assert store.frames() == [20, 30]


def test_a_damaged_latest_is_refused_and_the_one_before_it_used(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 10, 20)
    damage(store, 20)
    with pytest.warns(UserWarning, match=r"000000000020 has a damaged .* 000000000010 is used"):
        assert_same(store.read()[0], state(10))
    with pytest.raises(CorruptCheckpoint):
        store.read(20)


def test_a_folder_without_pointers_gives_the_newest(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=3)
    write(store, 10, 30)
    (tmp_path / "latest").unlink()
    assert_same(store.read()[0], state(30))


def test_a_pointer_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    other = CheckpointStore(tmp_path / "other")
    store = CheckpointStore(tmp_path / "run")
    other.write(10, encode({"other": True}))
    write(store, 10, 20)
    (store.folder / "latest").unlink()
    (store.folder / "latest").symlink_to("../other/000000000010")
    assert_same(store.read()[0], state(10))


@pytest.mark.parametrize("name", ["latest", "best"])
def test_something_else_in_the_place_of_a_pointer_is_an_error(name: str, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 10)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    with pytest.raises(InvalidValue) as caught:
        write(store, 20)
    assert str(caught.value) == (
        f"{tmp_path}/{name} is no link to a checkpoint: expected nothing there."
    )
    assert store.frames() == [10]


def test_what_cannot_be_stored_changes_nothing(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 10)
    with pytest.raises(InvalidType, match=r"about\['metrics'\] is a set"):
        store.write(20, encode({}), {"metrics": {1}})
    with pytest.raises(InvalidValue, match="cannot have the number -1"):
        write(store, -1)
    assert names(store) == {"000000000010", "latest"}


# ---------------------------------------------------------------- which are kept


@pytest.mark.parametrize(("count", "kept"), [(1, [40]), (2, [30, 40]), (None, [10, 20, 30, 40])])
def test_the_newest_are_kept(count: int | None, kept: list[int], tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=count)
    write(store, 10, 20, 30, 40)
    assert store.frames() == kept


def test_two_are_kept_unless_said_otherwise(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    write(store, 10, 20, 30)
    assert store.frames() == [20, 30]


def test_the_first_of_each_period_is_kept_for_good(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=1, keep_period=100)
    write(store, 40, 80, 120, 160, 199, 200, 260, 430, 440, 450)
    assert store.frames() == [120, 200, 430, 450]


def test_a_period_of_every_save_keeps_all_but_frame_zero(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=1, keep_period=10)
    write(store, 0, 10, 20, 30)
    assert store.frames() == [10, 20, 30]


def test_the_best_is_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=1, keep_best="return")
    score(store, {10: 1.0, 20: 5.0, 30: 3.0, 40: 4.0})
    assert store.frames() == [20, 40]
    assert store.best() == 20
    assert pointer(store, "best") == "000000000020"
    score(store, {50: 6.0})
    assert store.frames() == [50]
    assert pointer(store, "best") == pointer(store, "latest") == "000000000050"


def test_smaller_is_better_if_so_wished(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=1, keep_best="return", mode="min")
    score(store, {10: 3.0, 20: -5.0, 30: -4.0, 40: 0})
    assert store.best() == 20
    assert store.frames() == [20, 40]


def test_the_first_of_equals_is_the_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=1, keep_best="return")
    score(store, {10: 1.0, 20: 5.0, 30: 5.0, 40: 5.0})
    assert store.best() == 20


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "high", [1.0]], ids=repr)
def test_what_is_no_number_is_never_the_best(value: Any, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=1, keep_best="return")
    score(store, {10: value})
    assert store.best() is None
    assert pointer(store, "best") is None
    score(store, {20: -7.0, 30: value, 40: value})
    assert store.best() == 20
    assert store.frames() == [20, 40]


def test_without_a_metric_there_is_no_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    score(store, {10: 1.0})
    assert store.best() is None
    assert pointer(store, "best") is None


def test_checkpoints_without_metrics_have_no_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_best="return")
    store.write(10, encode({}))
    store.write(20, encode({}), {"metrics": None})
    assert store.best() is None


def test_a_damaged_checkpoint_is_the_best_of_nothing(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=1, keep_best="return")
    score(store, {10: 9.0, 20: 1.0})
    damage(store, 10)
    assert store.best() == 20
    score(store, {30: 0.0})
    assert store.frames() == [20, 30]
    assert pointer(store, "best") == "000000000020"


def test_all_reasons_to_keep_one_add_up(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=2, keep_period=100, keep_best="return")
    score(store, {90: 1.0, 100: 2.0, 110: 9.0, 120: 3.0, 190: 4.0, 210: 5.0, 220: 6.0, 230: 7.0})
    assert store.frames() == [100, 110, 210, 220, 230]


# ---------------------------------------------------------------- going back


def test_going_back_removes_the_future_that_was_given_up(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=3)
    write(store, 10, 20, 30)
    store.read(10)
    write(store, 15)
    assert store.frames() == [10, 15]
    assert pointer(store, "latest") == "000000000015"
    assert_same(store.read()[0], state(15))


def test_the_best_of_a_future_that_was_given_up_is_not_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=3, keep_best="return")
    score(store, {10: 1.0, 20: 2.0, 30: 9.0})
    score(store, {15: 0.0})
    assert store.frames() == [10, 15]
    assert pointer(store, "best") == "000000000010"


def test_without_a_best_in_the_past_there_is_none(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=3, keep_best="return")
    score(store, {20: 2.0, 30: 9.0})
    score(store, {15: None})
    assert pointer(store, "best") is None
    assert store.frames() == [15]


def test_the_latest_is_the_one_written_last_even_if_a_later_one_is_still_there(
    tmp_path: Path,
) -> None:
    store = CheckpointStore(tmp_path, max_checkpoints=3)
    write(store, 10, 20, 30)
    shutil.copytree(tmp_path / "000000000030", tmp_path / "copy")
    write(store, 15)
    (tmp_path / "copy").rename(tmp_path / "000000000030")
    again = CheckpointStore(tmp_path, resume=True)
    assert again.latest() == 15
    assert_same(again.read()[0], state(15))


# ---------------------------------------------------------------- beginning


def test_checkpoints_that_are_there_are_not_touched_without_being_told(tmp_path: Path) -> None:
    write(CheckpointStore(tmp_path), 10, 20)
    with pytest.raises(FileExistsError) as caught:
        CheckpointStore(tmp_path)
    assert isinstance(caught.value, ExistingFile)
    assert str(caught.value) == (
        f"{tmp_path} holds checkpoints already, the newest of frame 20: expected resume=True to go "
        "on with them, or overwrite=True to begin anew."
    )


def test_a_folder_with_other_things_in_it_will_do(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    store = CheckpointStore(tmp_path)
    write(store, 10, 20, 30)
    assert names(store) == {"config.yaml", "000000000020", "000000000030", "latest"}


def test_resuming_goes_on_with_what_is_there(tmp_path: Path) -> None:
    write(CheckpointStore(tmp_path), 10, 20)
    store = CheckpointStore(tmp_path, resume=True)
    assert_same(store.read()[0], state(20))
    write(store, 30)
    assert store.frames() == [20, 30]


def test_overwriting_removes_what_was_there_at_the_first_save_and_not_before(
    tmp_path: Path,
) -> None:
    write(CheckpointStore(tmp_path, max_checkpoints=3), 10, 20, 30)
    store = CheckpointStore(tmp_path, max_checkpoints=3, overwrite=True)
    assert store.frames() == [10, 20, 30]
    write(store, 15)
    assert store.frames() == [15]
    write(store, 25)
    assert store.frames() == [15, 25]


def test_overwriting_takes_nothing_of_the_other_run_for_the_best(tmp_path: Path) -> None:
    score(CheckpointStore(tmp_path, keep_best="return"), {10: 9.0, 20: 8.0})
    store = CheckpointStore(tmp_path, keep_best="return", overwrite=True)
    score(store, {20: 1.0})
    assert store.frames() == [20]
    assert pointer(store, "best") == "000000000020.1"
    assert_same(store.read()[0], state(20))


def test_resuming_or_overwriting_nothing_will_do(tmp_path: Path) -> None:
    stores = [
        CheckpointStore(tmp_path / "a", resume=True),
        CheckpointStore(tmp_path / "b", overwrite=True),
    ]
    for store in stores:
        write(store, 10)
    assert [store.frames() for store in stores] == [[10], [10]]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"max_checkpoints": 0},
            "CheckpointStore(max_checkpoints=0): expected at least 1 or None",
        ),
        ({"keep_period": -5}, "CheckpointStore(keep_period=-5): expected at least 1 or None"),
        ({"mode": "best"}, "CheckpointStore(mode='best'): expected 'max' or 'min'"),
        (
            {"resume": True, "overwrite": True},
            "CheckpointStore(resume=True, overwrite=True): expected at most one of them",
        ),
        (
            {"backend": "torhc"},
            "backend='torhc' (did you mean 'torch'?): expected one of torch, torchsnapshot",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_make_no_sense_are_named(
    arguments: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValue) as caught:
        CheckpointStore(tmp_path / "run", **arguments)
    assert str(caught.value) == f"{text}."
    assert not (tmp_path / "run").exists()


def test_the_environment_chooses_the_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPT_BACKEND", "torchsnapshot")
    store = CheckpointStore(tmp_path)
    write(store, 10)
    assert store.read()[1].backend == "torchsnapshot"
    monkeypatch.setenv("CKPT_BACKEND", "torch")
    write(store, 20)
    assert store.read()[1].backend == "torchsnapshot"


def test_a_run_may_change_its_backend(tmp_path: Path) -> None:
    write(CheckpointStore(tmp_path, backend="torch"), 10)
    write(CheckpointStore(tmp_path, backend="torchsnapshot", resume=True), 20)
    store = CheckpointStore(tmp_path, resume=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for frames in (10, 20):
            assert_same(store.read(frames)[0], state(frames))
