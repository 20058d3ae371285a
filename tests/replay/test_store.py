"""Every transition that can be drawn, against a buffer of plain lists."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from replay.reference import (
    EveryRow,
    ReferenceBuffer,
    Stream,
    as_batch,
    as_transitions,
    everything,
)

from hookrl.replay import PrioritizedSampler, ReplayBuffer, UniformSampler

GAMMA = 0.9


def assert_like_reference(stream, capacity, n_step, lengths, **options):
    """Extend both buffers by batches of these lengths and compare after each."""
    envs = len(stream.current)
    buffer = ReplayBuffer(
        capacity, batch_size=1, gamma=GAMMA, n_step=n_step, sampler=EveryRow(), **options
    )
    reference = ReferenceBuffer(capacity, envs, n_step, GAMMA)
    for length in lengths:
        frames = stream.frames(length)
        buffer.extend(as_batch(frames, mask=bool(stream.masked or stream.resets)))
        reference.extend(frames)
        expected = reference.transitions()
        assert len(buffer) == len(expected)
        if expected:
            assert as_transitions(everything(buffer)) == expected
    return buffer


seeds = st.integers(0, 2**31)
n_steps = st.integers(1, 5)
lengths = st.lists(st.integers(1, 14), min_size=1, max_size=8)


@given(seeds, st.integers(1, 4), n_steps, st.integers(1, 12), lengths, st.floats(0, 1))
def test_each_transition_is_the_reference_s(seed, envs, n_step, steps, lengths, ends):
    assert_like_reference(Stream(seed, envs, ends=ends), envs * steps, n_step, lengths)


@given(seeds, st.integers(1, 3), n_steps, st.integers(1, 9), st.floats(0, 1))
def test_batches_may_be_one_frame_long(seed, envs, n_step, steps, ends):
    assert_like_reference(Stream(seed, envs, ends=ends), envs * steps, n_step, [1] * 25)


@given(seeds, n_steps, st.integers(1, 12), lengths, st.floats(0, 1))
def test_masked_frames_are_never_drawn_and_no_return_reaches_them(
    seed, n_step, steps, lengths, masked
):
    assert_like_reference(Stream(seed, 2, masked=masked), 2 * steps, n_step, lengths)


@given(seeds, n_steps, st.integers(1, 12), lengths)
def test_returns_end_with_the_episode_even_if_the_next_begins_where_it_ended(
    seed, n_step, steps, lengths
):
    assert_like_reference(Stream(seed, 2, ends=0.4, returns=True), 2 * steps, n_step, lengths)


@given(seeds, n_steps, st.integers(1, 12), lengths)
def test_frames_that_only_reset_are_passed_over(seed, n_step, steps, lengths):
    assert_like_reference(Stream(seed, 2, ends=0.3, resets=True), 2 * steps, n_step, lengths)


@given(seeds, n_steps, st.integers(1, 12), lengths, st.floats(0, 1))
def test_a_stream_that_goes_on_elsewhere_keeps_its_own_next_observations(
    seed, n_step, steps, lengths, breaks
):
    assert_like_reference(Stream(seed, 2, breaks=breaks, masked=0.1), 2 * steps, n_step, lengths)


@given(seeds, n_steps, lengths)
def test_a_capacity_that_environments_cannot_share_is_rounded_down(seed, n_step, lengths):
    buffer = assert_like_reference(Stream(seed, 3), 11, n_step, lengths)
    assert len(buffer) <= 9


def test_a_truncated_episode_bootstraps_from_its_final_observation():
    frames = [
        [frame._replace(terminated=False, truncated=False) for frame in row]
        for row in Stream(0, 1, ends=0).frames(4)
    ]
    frames[0][1] = frames[0][1]._replace(truncated=True, next_observation=77.0)
    buffer = ReplayBuffer(10, batch_size=1, n_step=3, gamma=GAMMA, sampler=EveryRow())
    buffer.extend(as_batch(frames))
    sample = everything(buffer)
    assert sample["next", "observation"][:2, 0].tolist() == [77.0, 77.0]
    assert sample["steps_to_next_obs"].squeeze(-1).tolist() == [2, 1, 2, 1]
    assert sample["next", "truncated"].squeeze(-1).tolist() == [True, True, False, False]


def test_the_newest_transition_has_its_next_observation_before_the_next_batch_comes():
    stream = Stream(0, 2, ends=0)
    frames = stream.frames(3)
    buffer = ReplayBuffer(6, batch_size=1, sampler=EveryRow())
    buffer.extend(as_batch(frames))
    newest = everything(buffer)["next", "observation"][[2, 5], 0].tolist()
    assert newest == [row[-1].next_observation for row in frames]


def memory(buffer):
    store = buffer._store
    columns = [*store.columns.values(), *store.finals.columns]
    return sum(column.values[: column.rows].nbytes for column in columns)


def test_observations_are_stored_once():
    size = 1000
    buffer = ReplayBuffer(size, batch_size=1)
    stream = Stream(0, 1, ends=0.02)
    for _ in range(30):
        buffer.extend(as_batch(stream.frames(100)))
    observation, rest = 2 * 4, 8 + 4 + 3
    assert memory(buffer) < size * (observation * 1.1 + rest)


@pytest.mark.parametrize("ends", [0.0, 0.5, 1.0])
def test_the_side_table_is_bounded_by_the_ring_however_long_it_runs(ends):
    buffer = ReplayBuffer(20, batch_size=1)
    stream = Stream(0, 2, ends=ends)
    for _ in range(200):
        buffer.extend(as_batch(stream.frames(3)))
    assert buffer._store.finals.columns[0].rows <= 22


def test_what_was_stored_and_drawn_shares_no_memory_with_the_batch_or_the_buffer():
    frames = Stream(0, 1).frames(5)
    batch = as_batch(frames)
    buffer = ReplayBuffer(5, batch_size=5, sampler=EveryRow())
    buffer.extend(batch)
    before = everything(buffer)
    kept = before.clone()
    for leaf in batch.values(include_nested=True, leaves_only=True):
        leaf.zero_()
    drawn = everything(buffer)
    for leaf in drawn.values(include_nested=True, leaves_only=True):
        leaf.zero_()
    assert (everything(buffer) == kept).all()
    assert (before == kept).all()


def test_an_infinite_reward_behind_the_window_does_not_spoil_the_return():
    frames = Stream(0, 1, ends=0).frames(2)
    frames[0][0] = frames[0][0]._replace(terminated=True, reward=float("inf"))
    buffer = ReplayBuffer(5, batch_size=2, n_step=3, sampler=EveryRow())
    buffer.extend(as_batch(frames))
    assert everything(buffer)["next", "reward"][0].item() == float("inf")


def test_observations_that_are_not_numbers_are_still_the_following_row_s():
    frames = [
        [
            f._replace(observation=float("nan"), next_observation=float("nan"))
            for f in Stream(0, 1, ends=0).frames(50)[0]
        ]
    ]
    buffer = ReplayBuffer(50, batch_size=1)
    buffer.extend(as_batch(frames))
    assert np.count_nonzero(buffer._store.finals.slots >= 0) == 1


dtypes = [
    torch.uint8,
    torch.bool,
    torch.int16,
    torch.int64,
    torch.bfloat16,
    torch.float16,
    torch.float64,
    torch.complex128,
]


@pytest.mark.parametrize("dtype", dtypes)
def test_an_observation_keeps_its_type_and_its_bits(dtype):
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(0, 255, (2, 9, 3, 2), generator=generator).to(dtype)
    batch = as_batch(Stream(0, 2).frames(8))
    batch["observation"], batch["next", "observation"] = numbers[:, :-1], numbers[:, 1:]
    buffer = ReplayBuffer(12, batch_size=1, sampler=EveryRow())
    buffer.extend(batch)
    sample = everything(buffer)
    assert sample["observation"].dtype == sample["next", "observation"].dtype == dtype
    columns = sample["index"] % 6
    # Two of eight columns were pushed out before they had a place.
    assert torch.equal(sample["observation"], numbers[sample["index"] // 6, columns + 2])
    assert torch.equal(sample["next", "observation"], numbers[sample["index"] // 6, columns + 3])


def test_observations_and_actions_may_be_nested():
    stream = Stream(0, 2, ends=0.3)
    flat = ReplayBuffer(14, batch_size=1, n_step=3, sampler=EveryRow())
    nested = ReplayBuffer(14, batch_size=1, n_step=3, sampler=EveryRow())
    for _ in range(6):
        batch = as_batch(stream.frames(5))
        flat.extend(batch)
        for parent in (batch, batch["next"]):
            number = parent["observation"]
            parent["observation"] = {"one": number[..., 0], "two": {"three": number * 2}}
        batch["action"] = {"go": batch["action"]}
        nested.extend(batch)
    expected, found = everything(flat), everything(nested)
    for where in ((), ("next",)):
        number = expected[(*where, "observation")]
        assert torch.equal(found[(*where, "observation", "one")], number[:, 0])
        assert torch.equal(found[(*where, "observation", "two", "three")], number * 2)
    assert torch.equal(found["action", "go"], expected["action"])
    assert found["observation"].batch_size == found.batch_size


@given(seeds, n_steps, lengths)
def test_files_hold_what_memory_holds(tmp_path_factory, seed, n_step, lengths):
    directory = tmp_path_factory.mktemp("replay")
    assert_like_reference(Stream(seed, 2, breaks=0.1), 14, n_step, lengths, directory=directory)


def file_behind(tensor):
    """The file that the memory of a tensor is mapped from; None if it is memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, _, _, *name = line.split(maxsplit=5)
        start, stop = (int(bound, 16) for bound in span.split("-"))
        if start <= tensor.data_ptr() < stop:
            return Path(name[0]) if name else None
    raise AssertionError("no mapping holds the tensor")


@pytest.mark.parametrize("in_files", [False, True])
def test_with_a_directory_every_table_is_a_file_s_and_takes_no_memory(tmp_path, in_files):
    buffer = ReplayBuffer(4000, batch_size=1, directory=tmp_path if in_files else None)
    stream = Stream(0, 2, ends=0.5)
    for _ in range(3):
        buffer.extend(as_batch(stream.frames(700)))
    store = buffer._store
    for column in (*store.columns.values(), *store.finals.columns):
        file = file_behind(column.values)
        assert (file is not None and file.parent == tmp_path) is in_files


def calls(function, *arguments):
    """How many functions are called meanwhile, of Python's and of C's."""
    counted = []
    sys.setprofile(lambda frame, event, _: counted.append(event.endswith("call")))
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return sum(counted)


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("sampler", [UniformSampler, PrioritizedSampler])
def test_nothing_is_done_transition_by_transition(sampler, n_step):
    buffer = ReplayBuffer(10_000, batch_size=1, n_step=n_step, sampler=sampler())
    stream = Stream(0, 2, ends=0.0)
    batches = [as_batch(stream.frames(steps), mask=False) for steps in (50, 10, 1000)]
    buffer.extend(batches[0])
    # A few calls more or less, for slots of the side table say, but not one for each of a thousand.
    assert abs(calls(buffer.extend, batches[1]) - calls(buffer.extend, batches[2])) < 100
    assert abs(calls(buffer.sample, 10) - calls(buffer.sample, 1000)) < 100
    if sampler is PrioritizedSampler:
        few, many = buffer.sample(10)["index"], buffer.sample(1000)["index"]
        update = buffer.update_priority
        assert abs(calls(update, few, few + 1.0) - calls(update, many, many + 1.0)) < 100


def test_nothing_is_left_in_the_directory(tmp_path):
    buffer = ReplayBuffer(10, batch_size=1, directory=tmp_path / "not" / "there")
    buffer.extend(as_batch(Stream(0, 2).frames(7)))
    assert list((tmp_path / "not" / "there").iterdir()) == []
