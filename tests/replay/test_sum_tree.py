import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrl.replay import SumTree

values = st.floats(0, 1e6, allow_subnormal=False) | st.just(0.0)
writes = st.integers(1, 70).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.lists(st.lists(st.tuples(st.integers(0, size - 1), values), max_size=40), max_size=6),
    )
)


def filled(size, batches):
    """A tree and a plain list that were written the same."""
    tree, plain = SumTree(size), [0.0] * size
    for batch in batches:
        indices = np.array([index for index, _ in batch], dtype=np.int64)
        tree.set(indices, np.array([value for _, value in batch]))
        for index, value in batch:
            plain[index] = value
    return tree, plain


@given(writes)
def test_values_are_those_written_last(case):
    tree, plain = filled(*case)
    assert tree.get(np.arange(case[0])).tolist() == plain


@given(writes)
def test_the_total_is_the_sum_of_all_values(case):
    tree, plain = filled(*case)
    assert tree.total == pytest.approx(sum(plain), rel=1e-12)


@given(writes)
def test_the_smallest_is_the_smallest_value_above_zero(case):
    tree, plain = filled(*case)
    assert tree.smallest == min((value for value in plain if value > 0), default=np.inf)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=70).filter(any))
def test_a_prefix_sum_finds_the_first_index_whose_running_sum_exceeds_it(integers):
    tree = SumTree(len(integers))
    tree.set(np.arange(len(integers)), np.array(integers, dtype=float))
    prefixes = np.arange(sum(integers) * 2) / 2
    expected = np.searchsorted(np.cumsum(integers), prefixes, side="right")
    assert tree.find(prefixes).tolist() == expected.tolist()


@given(writes, st.lists(st.floats(0, 1.0), min_size=1, max_size=20))
def test_a_value_of_zero_is_never_found_even_by_the_total_itself(case, fractions):
    tree, plain = filled(*case)
    if tree.total > 0:
        found = tree.find(np.array([*fractions, 1.0, 2.0]) * tree.total)
        assert all(plain[index] > 0 for index in found)


def test_rounding_does_not_lead_into_an_empty_branch():
    tree = SumTree(4)
    tree.set(np.arange(4), np.array([0.1, 0.2, 0.3, 0.0]))
    assert tree.find(np.array([np.nextafter(tree.total, 0), tree.total, 10.0])).tolist() == [2] * 3


@given(writes)
def test_the_tree_depends_on_its_values_and_not_on_how_they_came(case):
    tree, plain = filled(*case)
    rebuilt = SumTree(case[0])
    rebuilt.set(np.arange(case[0]), np.array(plain))
    assert (tree.total, tree.smallest) == (rebuilt.total, rebuilt.smallest)
    if tree.total > 0:
        prefixes = np.random.default_rng(0).random(50) * tree.total
        assert tree.find(prefixes).tolist() == rebuilt.find(prefixes).tolist()


def test_one_value_for_all_indices_is_written_to_each():
    tree = SumTree(5)
    tree.set(np.array([1, 3]), 2.0)
    assert tree.get(np.arange(5)).tolist() == [0, 2, 0, 2, 0]


def test_arguments_stay_as_they_were():
    tree = SumTree(9)
    indices, prefixes = np.array([8, 0, 3]), np.array([0.5, 1.5])
    tree.set(indices, np.ones(3))
    tree.find(prefixes)
    assert (indices.tolist(), prefixes.tolist()) == ([8, 0, 3], [0.5, 1.5])
