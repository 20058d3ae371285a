"""A batch is fresh memory that never changes once handed out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from counting import ALL_SOURCES, PLANS, batch_leaves
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from hookrl.collectors import VectorCollector
from hookrl.collectors.storage import BatchStorage, TrajectoryIds
from hookrl.envs.spaces import Leaf

every_source = pytest.mark.parametrize("source", ALL_SOURCES)


def collector_for(source: str) -> VectorCollector:
    return VectorCollector(ALL_SOURCES[source](PLANS), frames_per_batch=12, seed=0)


def storages(batch: TensorDict) -> set[int]:
    return {leaf.untyped_storage().data_ptr() for leaf in batch_leaves(batch).values()}


@every_source
def test_a_batch_does_not_change_when_collecting_goes_on(source: str) -> None:
    collector = collector_for(source)
    batch = collector.collect()
    kept = batch.clone()
    for _ in range(3):
        collector.collect()
    for key, leaf in batch_leaves(batch).items():
        assert torch.equal(leaf, kept[key]), key


@every_source
def test_no_two_batches_share_memory(source: str) -> None:
    batches = list(itertools.islice(collector_for(source), 3))
    for one, other in itertools.combinations(batches, 2):
        assert not storages(one) & storages(other)


@every_source
def test_no_two_entries_of_a_batch_share_memory(source: str) -> None:
    batch = collector_for(source).collect()
    assert len(storages(batch)) == len(batch_leaves(batch))


@every_source
def test_changing_a_batch_in_place_does_not_reach_the_next_one(source: str) -> None:
    undisturbed, disturbed = collector_for(source), collector_for(source)
    expected = [undisturbed.collect() for _ in range(3)][-1]
    for _ in range(2):
        for leaf in batch_leaves(disturbed.collect()).values():
            leaf.fill_(True)
    actual = disturbed.collect()
    for key, leaf in batch_leaves(expected).items():
        assert torch.equal(leaf, actual[key]), key


@pytest.mark.parametrize("use_numpy", [True, False])
def test_the_next_observation_is_the_following_row_or_an_episodes_last(use_numpy: bool) -> None:
    leaf = Leaf((), (), torch.float32, None)  # type: ignore[arg-type]
    storage = BatchStorage([leaf], [leaf], 2, 3, torch.device("cpu"), use_numpy=use_numpy)
    kind = np.asarray if use_numpy else torch.tensor
    for t in range(3):
        storage.write_observation(t, kind([10.0 + t, 20.0 + t]))
        storage.write_action(t, kind([0.0, 0.0]))
        storage.write_outcome(t, kind([0.0, 0.0]), kind([False, t == 1]), kind([False, False]))
    storage.write_final(1, kind([1]), kind([99.0]))
    batch = storage.finish(kind([13.0, 23.0]), np.zeros((2, 3), np.int64))
    assert batch["next", "observation"].tolist() == [[11, 12, 13], [21, 99, 23]]


@given(
    st.lists(
        st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=5),
        min_size=1,
        max_size=4,
    )
)
def test_trajectory_ids_change_exactly_behind_boundaries_and_never_repeat(
    batches: list[list[list[bool]]],
) -> None:
    numbers = TrajectoryIds(3)
    numbers.restart()
    starts_after = [np.array(batch).T for batch in batches]
    ids = np.concatenate([numbers.assign(starts) for starts in starts_after], axis=1)
    boundaries = np.concatenate(starts_after, axis=1)
    np.testing.assert_array_equal(ids[:, 1:] != ids[:, :-1], boundaries[:, :-1])
    runs = [number for row in ids for number, _ in itertools.groupby(row.tolist())]
    assert len(runs) == len(set(runs))
    assert max(runs) < numbers.next_id
