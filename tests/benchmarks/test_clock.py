import pytest

from benchmarks import clock
from benchmarks.clock import Clock


@pytest.fixture
def now(monkeypatch):
    """Both clocks show what is set here: wall time, and half of it as processor time."""
    shown = {"seconds": 0.0}
    monkeypatch.setattr(clock.time, "perf_counter", lambda: shown["seconds"])
    monkeypatch.setattr(clock.time, "process_time", lambda: shown["seconds"] / 2)
    return shown


def timed(now, frames, *ticks):
    """A clock that was read after so many frames at so many seconds, the last at the end."""
    found = Clock(frames)
    found.start()
    for collected, seconds in ticks:
        now["seconds"] = seconds
        found.tick(collected)
    found.stop(ticks[-1][0])
    return found


def test_the_speed_leaves_out_the_first_fifth_of_the_frames(now):
    figures = timed(now, 1000, (100, 10.0), (200, 20.0), (600, 22.0), (1000, 24.0)).figures()
    assert figures["fps"] == (1000 - 200) / (24 - 20)
    assert figures["fps_cpu"] == 2 * figures["fps"]


def test_the_whole_training_counts_beside_it(now):
    figures = timed(now, 1000, (200, 20.0), (1000, 24.0)).figures()
    assert figures["fps_whole"] == round(1000 / 24, 1)
    assert (figures["frames"], figures["seconds"]) == (1000, 24.0)


def test_a_training_without_ticks_in_between_has_no_speed(now):
    with pytest.raises(RuntimeError, match="not read"):
        timed(now, 1000, (1000, 1.0)).figures()
