import json

import pytest

from benchmarks import checkpoint
from benchmarks.checkpoints.names import BACKGROUND, LARGE, MAPPED, SMALL, TORCH_SAVE
from benchmarks.checkpoints.report import summary
from benchmarks.checkpoints.ways import WAYS

ROUNDS = checkpoint.QUICK.rounds
IN_BACKGROUND = {*BACKGROUND.values(), "dcp.async_save"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("checkpoint")
    (place / "files").mkdir()
    arguments = ["--directory", str(place / "files"), "--results", str(place / "results")]
    checkpoint.main(["--quick", *arguments])
    return place


@pytest.fixture(scope="module")
def content(place):
    return json.loads((place / "results" / "checkpoint.json").read_text())


@pytest.fixture
def met():
    """Figures of the large subject that meet everything."""
    blocking = {"call": 1.0, "durable": 1.5, "stall": 1.0, "bytes": 2e9}
    background = blocking | {"call": 0.01, "stall": 0.05}
    saves = {
        way.name: [{**(background if way.name in IN_BACKGROUND else blocking)}] for way in WAYS
    }
    loads = {load.name: [{"memory": 100e6}] for way in WAYS for load in way.loads}
    return {LARGE: {"saves": saves, "loads": loads}}


@pytest.mark.parametrize("subject", [LARGE, SMALL])
def test_every_way_of_saving_is_measured_in_every_round(content, subject):
    saves = content[subject]["saves"]
    assert list(saves) == [way.name for way in WAYS]
    assert {len(runs) for runs in saves.values()} == {ROUNDS[subject]}


@pytest.mark.parametrize("subject", [LARGE, SMALL])
def test_every_way_of_loading_is_measured_where_it_is_possible(content, subject):
    ways = [load for way in WAYS for load in way.loads if subject == LARGE or not load.mapped]
    loads = content[subject]["loads"]
    assert list(loads) == [way.name for way in ways]
    assert {len(runs) for runs in loads.values()} == {ROUNDS[subject]}
    assert all(run["seconds"] > 0 <= run["memory"] for runs in loads.values() for run in runs)


@pytest.mark.parametrize("subject", [LARGE, SMALL])
def test_a_call_is_over_before_everything_is_on_disk(content, subject):
    for runs in content[subject]["saves"].values():
        assert all(0 < run["call"] <= run["durable"] for run in runs)


@pytest.mark.parametrize("subject", [LARGE, SMALL])
def test_the_loop_is_held_for_the_whole_of_a_blocking_call_and_goes_on_otherwise(content, subject):
    for name, runs in content[subject]["saves"].items():
        for run in runs:
            assert run["steps"] > 0 if name in IN_BACKGROUND else run["stall"] == run["call"]


def test_what_is_written_is_about_as_large_as_the_buffer(content):
    for runs in content[LARGE]["saves"].values():
        assert runs[0]["bytes"] == pytest.approx(checkpoint.QUICK.buffer_bytes, rel=0.05)


def test_the_report_has_a_row_for_every_way(place, content):
    report = (place / "RESULTS.md").read_text()
    for group in ("saves", "loads"):
        for name in content[LARGE][group]:
            assert f"\n| {name} | " in report
    assert content[SMALL]["command"] in report


def test_nothing_is_left_in_the_directory(place):
    assert not [*(place / "files").iterdir()]


def test_too_little_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    huge = checkpoint.Amount(buffer_bytes=1e18, rounds=ROUNDS)
    monkeypatch.setattr(checkpoint, "QUICK", huge)
    with pytest.raises(SystemExit, match=r"GB free, expected 3000000000\.0 GB"):
        checkpoint.main(["--quick", "--directory", str(tmp_path)])


def test_figures_that_meet_everything_are_called_met(met):
    lines = summary(met)
    assert all(line.endswith("**met**") for line in lines)
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("group", "name", "change"),
    [
        ("saves", BACKGROUND["torch"], {"stall": 0.11}),
        ("loads", MAPPED["torchsnapshot"], {"memory": 301e6}),
        ("saves", "hookrl, torch", {"bytes": 2.1e9}),
        ("saves", TORCH_SAVE, {"call": 0.4}),
    ],
)
def test_a_figure_beyond_its_bound_is_called_not_met(met, group, name, change):
    met[LARGE][group][name][0].update(change)
    assert any(line.endswith("**NOT MET**") for line in summary(met))
