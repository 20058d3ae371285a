import numpy as np
import pytest
import torch
from replay.reference import Stream, as_batch

from hookrl.replay import PrioritizedSampler, ReplayBuffer, UniformSampler


def drawn_counts(buffer, draws):
    return torch.bincount(buffer.sample(draws)["index"], minlength=buffer.capacity).numpy()


def chi_square(counts, probabilities):
    """Pearson's statistic over rows that can be drawn, and the bound it stays below.

    Its mean is the degrees of freedom, its variance twice that: five deviations above.
    """
    expected = counts.sum() * probabilities[probabilities > 0]
    statistic = ((counts[probabilities > 0] - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    return statistic, freedom + 5 * (2 * freedom) ** 0.5


def filled(envs, steps, capacity, *, masked=0.0, batches=1):
    buffer = ReplayBuffer(capacity, batch_size=1)
    buffer.set_seed(np.random.SeedSequence(0))
    stream = Stream(0, envs, masked=masked)
    for _ in range(batches):
        buffer.extend(as_batch(stream.frames(steps)))
    return buffer


@pytest.mark.parametrize(
    "arguments",
    [(1, 20, 50), (3, 7, 60), (3, 20, 60), (2, 13, 40, 0.5, 3), (2, 11, 40, 0.5)],
    ids=["one env", "some envs, not full", "full", "masked, full", "masked, not full"],
)
def test_every_transition_is_drawn_with_the_same_probability(arguments):
    envs, steps, capacity, *rest = arguments
    options = dict(zip(("masked", "batches"), rest, strict=False))
    buffer = filled(envs, steps, capacity, **options)
    valid = buffer._store.ring.valid
    counts = drawn_counts_of_many(buffer, 20_000)
    assert counts[~valid].sum() == 0
    statistic, bound = chi_square(counts, valid / valid.sum())
    assert statistic < bound


def drawn_counts_of_many(buffer, draws):
    ring = buffer._store.ring
    rows, weights = UniformSampler().draw(ring, draws, buffer.rng)
    assert weights is None
    return np.bincount(rows, minlength=len(ring.valid))


def test_the_only_valid_transition_among_very_many_is_found():
    buffer = ReplayBuffer(100_000, batch_size=1)
    batch = as_batch(Stream(0, 1).frames(2000))
    batch["collector", "mask"] = torch.zeros(1, 2000, dtype=torch.bool)
    batch["collector", "mask"][0, 1234] = True
    buffer.extend(batch)
    rows, _ = UniformSampler().draw(buffer._store.ring, 100, buffer.rng)
    assert set(rows.tolist()) == {1234}


def test_a_uniform_sample_has_no_weights():
    assert "_weight" not in filled(1, 5, 5).sample(5)


def test_a_uniform_buffer_says_that_it_has_no_priorities():
    buffer = filled(1, 5, 5)
    with pytest.raises(TypeError, match=r"UniformSampler: expected sampler=PrioritizedSampler\(\)"):
        buffer.update_priority(torch.tensor([0]), torch.tensor([1.0]))


def test_the_sampler_is_exchanged_in_one_line():
    batch = as_batch(Stream(0, 2).frames(5))
    for sampler in (None, UniformSampler(), PrioritizedSampler()):
        buffer = ReplayBuffer(10, batch_size=4, sampler=sampler)
        buffer.extend(batch)
        assert buffer.sample().batch_size == (4,)
