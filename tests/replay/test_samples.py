"""Samples are the same by NumPy, by tensor code, and in a graph."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from replay.reference import Stream, as_batch
from states import assert_same

from hookrl.graph import Graph
from hookrl.replay import ReplayBuffer
from hookrl.tensordicts import items


def filled(seed, n_step, batches, **stream):
    buffer = ReplayBuffer(60, batch_size=8, n_step=n_step, gamma=0.9)
    frames = Stream(seed, 2, **stream)
    buffer.extend(as_batch(frames.frames(12)))
    for _ in range(batches):
        buffer.extend(as_batch(frames.frames(7)))
    return buffer, frames


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(0, 9))
def test_tensor_code_gathers_what_numpy_reads(seed, n_step, batches):
    buffer, _ = filled(seed, n_step, batches, masked=0.1, breaks=0.1)
    drawn = buffer.draw()
    gathered = buffer.gather(drawn.places, drawn.discounts)
    assert_same(gathered.to_dict(), buffer.read(drawn).to_dict())


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("n_step", [1, 3])
def test_a_graph_reads_what_is_there_when_it_runs_though_the_side_table_has_grown(n_step):
    buffer, frames = filled(0, n_step, 0, ends=0.0)

    def following(places, discounts):
        sample = buffer.gather(places, discounts)["next"]
        return [value.clone() for name, value in items(sample) if name in ("observation", "reward")]

    graph = Graph(following, buffer.draw()[:2])
    (final,) = buffer._store.finals.columns
    rows = final.rows
    frames.ends = 0.9
    for _ in range(10):
        buffer.extend(as_batch(frames.frames(7)))
    assert final.rows > rows
    drawn = buffer.draw()
    assert bool((drawn.places[-1] >= rows).any())
    expected = buffer.read(drawn)["next"]
    observation, reward = graph(*drawn[:2])
    assert torch.equal(observation, expected["observation"])
    torch.testing.assert_close(reward, expected["reward"])
