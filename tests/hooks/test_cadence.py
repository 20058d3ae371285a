import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrl.errors import InvalidValue
from hookrl.hooks.cadence import Cadence


def test_every_third_call_is_due_once_three_calls_came():
    cadence = Cadence(every=3)
    assert [cadence.due(0) for _ in range(7)] == [False, False, True, False, False, True, False]


def test_frames_are_thresholds_crossed_not_multiples_hit():
    cadence = Cadence(every_frames=1000)
    assert [cadence.due(frames) for frames in (600, 1200, 1800, 2400, 5000, 5600)] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]


@given(interval=st.integers(1, 500), batch=st.integers(1, 500), batches=st.integers(1, 100))
def test_a_cadence_in_frames_never_drifts(interval, batch, batches):
    cadence = Cadence(every_frames=interval)
    runs = sum(cadence.due(batch * (i + 1)) for i in range(batches))
    crossed = len({batch * (i + 1) // interval for i in range(batches)} - {0})
    assert runs == crossed


def test_once_is_never_due_again():
    cadence = Cadence(every=2, once=True)
    assert [cadence.due(0) for _ in range(5)] == [False, True, False, False, False]


@pytest.mark.parametrize("disabled", [0, None])
def test_zero_and_none_disable_the_frame_threshold(disabled):
    assert Cadence(every_frames=disabled).always


@given(
    every=st.integers(1, 4),
    every_frames=st.integers(0, 30),
    once=st.booleans(),
    stop=st.integers(0, 20),
)
def test_a_restored_cadence_goes_on_as_if_never_stopped(every, every_frames, once, stop):
    frames = range(0, 200, 7)
    straight, before = Cadence(every, every_frames, once), Cadence(every, every_frames, once)
    expected = [straight.due(f) for f in frames]
    actual = [before.due(f) for f in frames[:stop]]
    after = Cadence(every, every_frames, once)
    after.load_state_dict(before.state_dict())
    actual += [after.due(f) for f in frames[stop:]]
    assert actual == expected


@pytest.mark.parametrize("arguments", [{"every": 0}, {"every_frames": -1}])
def test_a_cadence_below_its_minimum_is_refused(arguments):
    with pytest.raises(InvalidValue, match="expected"):
        Cadence(**arguments)
