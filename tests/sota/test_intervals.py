import numpy as np
import pytest

from sota.intervals import RESAMPLES, difference, estimate, interquartile_mean, mean


def test_interquartile_mean_leaves_out_two_of_ten_at_either_end():
    scores = np.array([-1e9, 7.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 1e9])
    assert interquartile_mean(scores) == pytest.approx(np.mean([1, 2, 3, 4, 5, 6]))


def test_interquartile_mean_of_few_scores_is_their_mean():
    assert interquartile_mean(np.array([1.0, 2.0, 6.0])) == pytest.approx(3.0)


def test_interquartile_mean_reduces_the_last_axis():
    scores = np.stack([np.arange(10.0), np.arange(10.0) + 5])
    assert interquartile_mean(scores) == pytest.approx([4.5, 9.5])


def test_equal_scores_have_an_interval_of_no_width():
    assert estimate([500.0] * 10, interquartile_mean) == (500.0, 500.0, 500.0)


def test_interval_of_the_mean_is_that_of_the_normal_approximation():
    scores = np.random.default_rng(0).normal(10.0, 2.0, size=400)
    half = 1.96 * scores.std() / np.sqrt(len(scores))
    found = estimate(scores, mean)
    assert found.value == pytest.approx(scores.mean())
    assert found.low == pytest.approx(scores.mean() - half, abs=0.02)
    assert found.high == pytest.approx(scores.mean() + half, abs=0.02)


def test_interval_of_two_scores_reaches_from_one_to_the_other():
    # A quarter of all resamples is the lower one twice, a quarter the higher one twice.
    assert RESAMPLES >= 10_000
    assert estimate([1.0, 3.0], mean) == (2.0, 1.0, 3.0)


def test_same_scores_give_the_same_interval():
    scores = [1.0, 4.0, 2.0, 8.0, 5.0]
    assert estimate(scores, interquartile_mean) == estimate(scores, interquartile_mean)


def test_interval_of_the_difference_has_the_widths_of_both_sides_in_it():
    generator = np.random.default_rng(1)
    ours, theirs = generator.normal(3.0, 1.0, 400), generator.normal(1.0, 2.0, 400)
    found = difference(ours, theirs, mean)
    half = 1.96 * np.sqrt(ours.var() / 400 + theirs.var() / 400)
    assert found.value == pytest.approx(ours.mean() - theirs.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)


def test_a_side_is_not_paired_with_itself():
    # Paired by seed, equal scores would have a difference of exactly 0 in every resample.
    found = difference([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], mean)
    assert found.value == 0.0
    assert found.low < 0.0 < found.high


def test_sides_may_have_different_numbers_of_seeds():
    assert difference([3.0, 3.0, 3.0], [1.0], mean) == (2.0, 2.0, 2.0)
