"""Wherever a save is cut short, a checkpoint is found, whole, and the next save goes through.

This is the short form of ``faults.long``: some of the crashes of each scenario, evenly chosen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from faults.crashes import Crash, Journal, distinct
from faults.recording import Made, Removed, Renamed, Returned, Step, Synced, Written, read_image
from faults.scenarios import Scenario, scenarios

from hookrl.checkpoints import CheckpointStore, CorruptCheckpoint
from hookrl.checkpoints.versions import Versions

SHORT = 46
"""Crashes of each scenario; with all scenarios more than 600."""
ALL = [*scenarios("torch"), *scenarios("torchsnapshot")]


def failing(scenario: Scenario, crashes: Iterable[Crash], folder: Path) -> Iterable[str]:
    """What goes wrong after which crash."""
    for number, crash in enumerate(crashes):
        try:
            scenario.check_disk(crash.image, crash.allowed, folder / str(number))
        except Exception as error:
            yield f"{crash.where}: {error!r}"


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_a_crash_leaves_a_whole_checkpoint(scenario: Scenario, folder: Path) -> None:
    before, steps = scenario.record(folder / "recorded")
    crashes = distinct(Journal(steps, before).crashes())
    chosen = crashes[:: max(1, len(crashes) // SHORT)]
    assert len(chosen) >= SHORT
    assert not [*failing(scenario, chosen, folder)]


def test_a_crash_after_a_crash_leaves_a_whole_checkpoint(folder: Path) -> None:
    scenario = next(s for s in ALL if "removing the oldest" in s.name)
    before, steps = scenario.record(folder / "recorded")
    crashes = distinct(Journal(steps, before).crashes())
    for number, crash in enumerate(crashes[5::40]):
        found, steps = scenario.record_after(crash.image, folder / f"crashed {number}")
        chosen = distinct(Journal(steps, crash.image, found).crashes())[::8]
        place = folder / f"again {number}"
        place.mkdir()
        assert not [*failing(scenario, chosen, place)]


# ---------------------------------------------------------------- the harness itself


def test_rebuilding_the_disk_after_all_steps_gives_the_disk(folder: Path) -> None:
    for number, scenario in enumerate(ALL[1::3]):
        before, steps = scenario.record(folder / str(number))
        crashes = [*Journal(steps, before).crashes()]
        last = [crash for crash in crashes if f"after step {len(steps)} " in crash.where]
        assert read_image(folder / str(number)) in [crash.image for crash in last]


def test_no_sync_can_be_left_out(folder: Path) -> None:
    scenario = next(s for s in ALL if "one frame twice, torch" in s.name)
    before, steps = scenario.record(folder / "recorded")
    steps = steps[: steps.index(Returned(1)) + 1]
    second = [n for n, step in enumerate(steps) if isinstance(step, Synced)][7:13]
    assert len({steps[n].path for n in second}) == 4
    for index in second:
        place = folder / f"without {index}"
        place.mkdir()
        crashes = distinct(Journal(steps[:index] + steps[index + 1 :], before).crashes())
        late = [crash for crash in crashes if 1 in crash.allowed]
        assert next(iter(failing(scenario, late, place)), None), steps[index]


def test_content_that_is_removed_under_its_name_would_be_found_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(self: Versions, numbers: Iterable[int]) -> None:
        kept = {self.path(number) for number in numbers}
        for path in [self.path(number) for number in self.numbers()]:
            if path not in kept:
                self.disk.remove(path)

    monkeypatch.setattr(Versions, "keep", keep)
    assert_found_out("removing the oldest", folder)


def test_going_by_the_highest_number_would_be_found_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckpointStore, "read", lambda self: self.versions.read_newest())
    assert_found_out("going back", folder)


def assert_found_out(name: str, folder: Path) -> None:
    scenario = next(s for s in ALL if name in s.name)
    before, steps = scenario.record(folder / "recorded")
    crashes = distinct(Journal(steps, before).crashes())
    late = [crash for crash in crashes if scenario.count - 2 in crash.allowed]
    assert next(iter(failing(scenario, late, folder)), None)


def images(steps: list[Step]) -> list[dict[str, object]]:
    return [crash.image for crash in Journal(steps, {}).crashes()]


def test_what_was_not_synced_may_be_there_or_not() -> None:
    steps = [Made("a", b""), Written("a", b"12345678")]
    found = images(steps)
    assert {} in found
    assert {"a": b"12345678"} in found
    assert {"a": b""} in found
    assert {"a": b"1234"} in found
    assert {"a": b"1234\0\0\0\0"} in found


def test_synced_content_without_a_synced_name_may_be_lost_as_a_whole() -> None:
    steps = [Made("a", b""), Written("a", b"1234"), Synced("a")]
    last = [crash.image for crash in Journal(steps, {}).crashes() if "step 3" in crash.where]
    assert {repr(image) for image in last} == {"{}", "{'a': b'1234'}"}


def test_what_was_synced_stays() -> None:
    steps = [Made("a", b""), Written("a", b"1234"), Synced("a"), Synced(".")]
    last = [crash.image for crash in Journal(steps, {}).crashes() if "step 4" in crash.where]
    assert last == [{"a": b"1234"}]


def test_a_rename_may_come_before_what_it_renamed_is_there() -> None:
    steps = [Made("a", b""), Written("a", b"1234"), Renamed("a", "b")]
    assert {"b": b""} in images(steps)


def test_content_may_be_removed_before_the_name_above_it() -> None:
    before = [Made("d", None), Made("d/a", b""), Synced("d"), Synced(".")]
    steps = [*before, Renamed("d", "x"), Removed("x/a"), Removed("x")]
    found = images(steps)
    assert {"d": None} in found
    assert {"d": None, "d/a": b""} in found
    assert {"x": None, "x/a": b""} in found
    assert {} in found


def test_every_save_is_cut_short_somewhere(folder: Path) -> None:
    scenario = ALL[0]
    before, steps = scenario.record(folder / "recorded")
    allowed = {crash.allowed for crash in Journal(steps, before).crashes()}
    between = {frozenset(pair) for pair in itertools.pairwise(range(-1, scenario.count))}
    assert between <= allowed


def test_a_sound_checkpoint_that_is_not_the_right_one_is_not_accepted(folder: Path) -> None:
    scenario = ALL[0]
    scenario.record(folder / "recorded")
    with pytest.raises(AssertionError, match="found 3, expected one of \\[1, 2\\]"):
        scenario.check(folder / "recorded", frozenset({1, 2}))


def test_a_damaged_checkpoint_is_not_accepted(folder: Path) -> None:
    scenario = ALL[0]
    scenario.record(folder / "recorded")
    (folder / "recorded/run/checkpoints/000000000030/manifest.json").unlink()
    with pytest.raises(CorruptCheckpoint):
        scenario.check(folder / "recorded", frozenset({3}))
