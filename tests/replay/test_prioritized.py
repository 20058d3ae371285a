import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from replay.reference import Stream, as_batch

from hookrl.replay import PrioritizedSampler, ReplayBuffer

ALPHA, BETA, EPSILON = 0.7, 0.5, 1e-3


def prioritized(capacity, **options):
    settings = {"alpha": ALPHA, "beta": BETA, "epsilon": EPSILON, **options}
    buffer = ReplayBuffer(capacity, batch_size=1, sampler=PrioritizedSampler(**settings))
    buffer.set_seed(np.random.SeedSequence(0))
    return buffer


def with_priorities(priorities, **options):
    buffer = prioritized(len(priorities), **options)
    buffer.extend(as_batch(Stream(0, 1).frames(len(priorities))))
    buffer.update_priority(torch.arange(len(priorities)), torch.tensor(priorities))
    return buffer


def draw(buffer, draws):
    """More draws than the buffer has rows: straight from the sampler."""
    rows, weights = buffer.sampler.draw(buffer._store.ring, draws, buffer.rng)
    return np.bincount(rows, minlength=buffer.capacity), rows, weights


def powers(priorities, alpha=ALPHA):
    return (np.array(priorities) + EPSILON) ** alpha


priorities_lists = st.lists(st.floats(0, 100), min_size=1, max_size=60)


@given(priorities_lists)
def test_rows_are_drawn_in_proportion_to_the_powers_of_their_priorities(priorities):
    draws = 10_000
    counts, _, _ = draw(with_priorities(priorities), draws)
    expected = draws * powers(priorities) / powers(priorities).sum()
    # One draw from each of 10,000 equal ranges: at either edge of a row's share one may slip.
    assert np.abs(counts - expected).max() <= 2


def test_single_draws_pass_a_chi_square_test():
    priorities = np.random.default_rng(1).random(30) * 5
    buffer = with_priorities(priorities.tolist())
    draws = 8000
    counts = sum(draw(buffer, 1)[0] for _ in range(draws))
    expected = draws * powers(priorities) / powers(priorities).sum()
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < 29 + 5 * (2 * 29) ** 0.5


@given(priorities_lists)
def test_weights_are_the_formula_divided_by_their_largest_over_the_buffer(priorities):
    buffer = with_priorities(priorities)
    _, rows, weights = draw(buffer, 50)
    probabilities = powers(priorities) / powers(priorities).sum()
    all_weights = (len(priorities) * probabilities) ** -BETA
    np.testing.assert_allclose(weights, all_weights[rows] / all_weights.max(), rtol=1e-5)


def test_a_sample_carries_its_weights():
    weights = with_priorities([1.0, 2.0, 3.0]).sample(3)["_weight"]
    assert (weights.shape, weights.dtype) == ((3,), torch.float32)
    assert weights.max() <= 1


def test_beta_may_be_annealed_by_setting_it():
    buffer = with_priorities([1.0, 2.0, 3.0])
    buffer.sampler.beta = 0.0
    assert buffer.sample(3)["_weight"].tolist() == [1, 1, 1]


def test_without_alpha_all_rows_are_alike():
    counts, _, weights = draw(with_priorities([0.0, 1.0, 50.0, 3.0], alpha=0.0), 4000)
    assert counts.tolist() == [1000] * 4
    assert set(weights) == {1.0}


def test_new_transitions_get_the_largest_priority_seen():
    buffer = prioritized(8)
    stream = Stream(0, 1)
    buffer.extend(as_batch(stream.frames(4)))
    assert buffer.sampler._tree.get(np.arange(4)) == pytest.approx(powers([1.0] * 4))
    buffer.update_priority(torch.arange(4), torch.tensor([0.5, 9.0, 2.0, 0.1]))
    buffer.update_priority(torch.tensor([1]), torch.tensor([0.0]))
    buffer.extend(as_batch(stream.frames(2)))
    expected = powers([0.5, 0.0, 2.0, 0.1, 9.0, 9.0])
    assert buffer.sampler._tree.get(np.arange(6)) == pytest.approx(expected)


def test_rows_that_are_overwritten_lose_their_priority():
    buffer = prioritized(6)
    stream = Stream(0, 2)
    buffer.extend(as_batch(stream.frames(3)))
    buffer.update_priority(torch.arange(6), torch.tensor([5.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    buffer.update_priority(torch.tensor([0]), torch.tensor([0.0]))
    batch = as_batch(stream.frames(1), mask=False)
    batch["collector", "mask"] = torch.tensor([[True], [False]])
    buffer.extend(batch)
    expected = [*powers([5.0, 0.0, 0.0]), 0.0, *powers([0.0, 0.0])]
    assert buffer.sampler._tree.get(np.arange(6)) == pytest.approx(expected)


@given(st.integers(0, 2**31), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_what_may_not_be_drawn_never_is_even_if_it_is_given_a_priority(seed, lengths):
    stream = Stream(seed, 2, masked=0.5)
    buffer = prioritized(14)
    for length in lengths:
        buffer.extend(as_batch(stream.frames(length)))
        buffer.update_priority(torch.arange(14), torch.arange(14.0))
        ring = buffer._store.ring
        assert (buffer.sampler._tree.get(np.arange(14)) > 0).tolist() == ring.valid.tolist()
        if len(buffer):
            assert ring.valid[draw(buffer, 100)[1]].all()


def test_of_duplicates_the_last_priority_wins():
    buffer = with_priorities([1.0, 1.0])
    buffer.update_priority(torch.tensor([1, 0, 1]), torch.tensor([[3.0], [2.0], [4.0]]))
    assert buffer.sampler._tree.get(np.arange(2)) == pytest.approx(powers([2.0, 4.0]))


@pytest.mark.parametrize(
    "options",
    [{"alpha": -0.1}, {"beta": -1.0}, {"epsilon": 0.0}, {"alpha": float("nan")}],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"PrioritizedSampler\(alpha=.*expected alpha and beta"):
        PrioritizedSampler(**options)


@pytest.mark.parametrize(
    ("index", "priority", "message"),
    [
        ([0], [float("nan")], "negative or not finite"),
        ([0, 1], [0.0, -1.0], "the smallest is -1.0"),
        ([0], [float("inf")], "not finite"),
        ([2], [1.0], "index from 2 to 2"),
        ([-1, 0], [1.0, 1.0], "index from -1 to 0"),
        ([0, 1], [1.0], "1 priorities for 2 transitions"),
    ],
)
def test_bad_priorities_are_refused_and_change_nothing(index, priority, message):
    buffer = with_priorities([1.0, 2.0])
    before = buffer.sampler._tree.get(np.arange(2)).tolist()
    with pytest.raises(ValueError, match=message):
        buffer.update_priority(torch.tensor(index), torch.tensor(priority))
    assert buffer.sampler._tree.get(np.arange(2)).tolist() == before
