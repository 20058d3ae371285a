import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from replay.reference import EveryRow, Stream, as_batch, everything
from states import assert_same

from hookrl.checkpoints.codec import decode, encode
from hookrl.replay import PrioritizedSampler, ReplayBuffer, UniformSampler


def make(sampler=UniformSampler, capacity=22, **options):
    buffer = ReplayBuffer(capacity, batch_size=1, n_step=3, sampler=sampler(), **options)
    buffer.set_seed(np.random.SeedSequence(3))
    return buffer


def run(buffer, stream, batches):
    """Extend, draw and set priorities; return what was drawn."""
    drawn = []
    for _ in range(batches):
        buffer.extend(as_batch(stream.frames(3)))
        if not len(buffer):  # all frames are masked
            continue
        sample = buffer.sample(min(len(buffer), 5))
        if isinstance(buffer.sampler, PrioritizedSampler):
            buffer.update_priority(sample["index"], sample["next", "reward"].abs().nan_to_num(1))
        drawn.append(sample)
    return drawn


samplers = st.sampled_from([UniformSampler, PrioritizedSampler])
streams = st.builds(
    lambda seed, masked, breaks: (seed, masked, breaks),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([0.0, 0.2]),
)


def stream_of(case):
    seed, masked, breaks = case
    stream = Stream(seed, 2, masked=masked, breaks=breaks)
    return stream


def assert_goes_on_alike(one, other, stream):
    for left, right in zip(run(one, copy.deepcopy(stream), 6), run(other, stream, 6), strict=True):
        assert_same(left.to_dict(), right.to_dict())
    assert_same(one.state_dict(), other.state_dict())


# 0: nothing yet; 1, 3: not full; 4: exactly full is never met, 11 columns; 9: wrapped around.
@given(streams, samplers, st.sampled_from([0, 1, 3, 4, 9]))
def test_a_restored_buffer_draws_what_the_original_would_have(case, sampler, batches):
    stream = stream_of(case)
    original, fresh = make(sampler), make(sampler)
    run(original, stream, batches)
    fresh.load_state_dict(decode(*encode(original.state_dict())))
    assert_same(fresh.state_dict(), original.state_dict())
    assert_goes_on_alike(original, fresh, stream)


@given(streams, samplers, st.sampled_from([0, 2, 9]), st.sampled_from([1, 3, 8]))
def test_a_used_buffer_is_restored_in_place(case, sampler, batches, other_batches):
    stream = stream_of(case)
    original, used = make(sampler), make(sampler)
    run(original, stream, batches)
    run(used, Stream(1, 2), other_batches)
    used.load_state_dict(original.state_dict())
    assert_goes_on_alike(original, used, stream)


def test_a_buffer_of_files_and_one_in_memory_restore_each_other(tmp_path):
    stream = Stream(0, 2)
    one, other = make(), make(directory=tmp_path)
    run(one, stream, 5)
    other.load_state_dict(one.state_dict())
    again = make()
    again.load_state_dict(other.state_dict())
    assert_same(again.state_dict(), one.state_dict())
    assert_goes_on_alike(one, other, stream)


@pytest.mark.parametrize("in_files", [False, True])
def test_a_state_is_a_copy_that_later_batches_do_not_change(tmp_path, in_files):
    buffer = make(PrioritizedSampler, directory=tmp_path if in_files else None)
    stream = Stream(0, 2)
    run(buffer, stream, 5)
    state = buffer.state_dict()
    kept = copy.deepcopy(state)
    run(buffer, stream, 5)
    assert_same(state, kept)


def test_a_restored_buffer_does_not_share_memory_with_the_state():
    original, restored = make(PrioritizedSampler), make(PrioritizedSampler)
    stream = Stream(0, 2)
    run(original, stream, 5)
    state = original.state_dict()
    kept = copy.deepcopy(state)
    restored.load_state_dict(state)
    run(restored, stream, 5)
    assert_same(state, kept)


def test_a_state_holds_only_what_is_filled():
    buffer = make(PrioritizedSampler, capacity=1_000_000)
    buffer.extend(as_batch(Stream(0, 2).frames(10)))
    _, tensors = encode(buffer.state_dict())
    assert max(tensor.numel() for tensor in tensors.values()) <= 2 * 10 * 2


def test_a_restored_layout_keeps_observations_that_are_nested_and_of_bytes():
    stream = Stream(0, 2)
    batch = as_batch(stream.frames(10))
    for parent in (batch, batch["next"]):
        parent["observation"] = {"image": parent["observation"].to(torch.uint8)}
    original, restored = make(EveryRow), make(EveryRow)
    original.extend(batch)
    restored.load_state_dict(decode(*encode(original.state_dict())))
    assert_same(everything(restored).to_dict(), everything(original).to_dict())


def valid_state():
    buffer = make(PrioritizedSampler)
    run(buffer, Stream(0, 2), 5)
    return buffer.state_dict()


def contents(**changes):
    return lambda state: state["contents"].update(changes)


def drop(*keys):
    def change(state):
        for key in keys[:-1]:
            state = state[key]
        del state[keys[-1]]

    return change


def value(key, change):
    def apply(state):
        state["contents"]["values"][key] = change(state["contents"]["values"][key])

    return apply


def sampler(**changes):
    return lambda state: state["sampler"].update(changes)


MISTAKES = {
    "no generator": (drop("rng"), KeyError, "lacks 'rng'"),
    "no field": (drop("contents", "valid"), KeyError, "lacks 'valid'"),
    "no reward": (drop("contents", "values", ("next", "reward")), KeyError, "lacks .*'reward'"),
    "no action": (drop("contents", "values", ("action",)), KeyError, "lacks .*'action'"),
    "another capacity": (contents(steps=12), ValueError, "capacity 22 keeps 11"),
    "position outside": (contents(position=11), ValueError, "contradict"),
    "filled too much": (contents(filled=12), ValueError, "contradict"),
    "fewer rows": (value(("action",), lambda v: v[:, 1:]), ValueError, "has shape"),
    "another type": (
        value(("action",), lambda v: v.float()),
        ValueError,
        "already holds .*'action' torch.int64",
    ),
    "mask of numbers": (contents(valid=torch.ones(2, 11)), ValueError, "not a bool tensor"),
    "final rows outside": (contents(final_rows=torch.tensor([3, 99])), ValueError, "final_rows"),
    "no newest rows": (
        contents(final_rows=torch.zeros(0, dtype=torch.int64)),
        ValueError,
        "the newest among them",
    ),
    "no finals": (contents(finals={}), ValueError, "other leaves than observations"),
    "finals too short": (
        contents(finals={("observation",): torch.zeros(1, 2)}),
        ValueError,
        r"float32 \[1, 2\]",
    ),
    "another alpha": (sampler(alpha=0.3), ValueError, "alpha=0.3, expected 0.6"),
    "priorities too few": (
        sampler(values=torch.ones(2, 3, dtype=torch.float64)),
        ValueError,
        r"\[2, 3\]",
    ),
    "another sampler": (lambda state: state.update(sampler={}), KeyError, "PrioritizedSampler"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_state_with_a_mistake_is_refused_and_changes_nothing(mistake):
    change, error, message = mistake
    buffer = make(PrioritizedSampler)
    run(buffer, Stream(5, 2), 6)
    before = buffer.state_dict()
    state = valid_state()
    change(state)
    with pytest.raises(error, match=message):
        buffer.load_state_dict(state)
    assert_same(buffer.state_dict(), before)
