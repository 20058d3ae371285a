"""Overlapped collectors are seeded, saved in the middle and resumed as others are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from midway import through_a_checkpoint
from overlapping import (
    assert_alike,
    each_kind,
    normalizer_of,
    overlapped,
    plain,
    policy_of,
    run,
    trained,
)
from states import assert_same

from hookrl.collectors import OverlappedCollector
from hookrl.errors import MissingKey


def test_a_seed_that_is_set_before_the_first_batch_counts() -> None:
    collector = overlapped(policy_of(), seed=None)
    collector.set_seed(3)
    assert_alike([collector.collect()], run("actor-critic", 1))
    collector.shutdown()


def test_a_seed_that_is_set_later_begins_afresh() -> None:
    collector = overlapped(policy_of(), seed=8)
    collector.collect()
    collector.set_seed(3)
    expected = run("actor-critic", 1)[0]
    assert torch.equal(collector.collect()["observation"], expected["observation"])
    collector.shutdown()


@pytest.mark.parametrize("normalizes", [False, True])
@each_kind
def test_an_interrupted_collector_gives_the_batches_it_would_have_given(
    kind: str, normalizes: bool
) -> None:
    def make(seed: int, policy: Any) -> OverlappedCollector:
        transform = normalizer_of(kind) if normalizes else None
        return overlapped(policy, kind, seed=seed, transform=transform)

    policy = policy_of(kind)
    whole, states, weights, expected = make(3, policy), [], [], []
    for number in range(4):
        states.append(through_a_checkpoint(whole.state_dict()))
        weights.append(copy.deepcopy(policy))
        expected += trained(whole, policy, range(number, number + 1))
    for done, state in enumerate(states):
        policy = weights[done]
        resumed = make(1, policy)
        if done % 2:
            resumed.collect()  # it may be in use
        resumed.load_state_dict(state)
        assert_same(through_a_checkpoint(resumed.state_dict()), state)
        assert_alike(trained(resumed, policy, range(done, 4)), expected[done:])
        resumed.shutdown()
    whole.shutdown()


def test_a_state_does_not_change_when_its_batch_is_learned_from() -> None:
    collector = overlapped(policy_of())
    collector.collect()
    state = collector.state_dict()
    kept = copy.deepcopy(state)
    other = overlapped(policy_of())
    other.load_state_dict(state)
    for one in (collector, other):
        one.collect()["observation"].zero_()
        one.shutdown()
    assert_same(state, kept)


def test_a_collector_may_be_saved_after_its_end() -> None:
    collector = overlapped(policy_of())
    collector.collect()
    state = collector.state_dict()
    collector.shutdown()
    assert_same(collector.state_dict(), state)


def test_a_state_of_another_collector_is_refused_and_changes_nothing() -> None:
    collector = overlapped(policy_of(), transform=normalizer_of())
    collector.collect()
    before, other = collector.state_dict(), overlapped(policy_of())
    other.collect()
    foreign = other.state_dict()
    with pytest.raises(MissingKey, match="OverlappedCollector lacks 'transform'"):
        collector.load_state_dict(foreign)
    with pytest.raises(MissingKey, match="VectorCollector lacks 'transform'"):
        collector.load_state_dict({**foreign, "transform": before["transform"]})
    with pytest.raises(MissingKey, match="ObservationNormalizer"):
        collector.load_state_dict({**before, "transform": {}})
    assert_same(collector.state_dict(), before)
    collector.shutdown()
    other.shutdown()


def test_how_exactly_it_resumes_is_as_of_the_collector() -> None:
    for exact_resume in ("best", "off"):
        collector = plain(None, exact_resume=exact_resume)
        assert OverlappedCollector(collector).exact_resume == collector.exact_resume
