"""A state as a flat list."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from states import DTYPES, states

from hookrl.checkpoints.leaves import change, kind, leaves, spread


def test_a_state_is_a_list_of_paths() -> None:
    state = {"a": {"b": [1, (2, None)], 3: "c"}, "empty": [{}, [], ()]}
    assert leaves(state) == {
        "/a/b/0": 1,
        "/a/b/1/0": 2,
        "/a/b/1/1": None,
        "/a/3": "c",
        "/empty/0": {},
        "/empty/1": [],
        "/empty/2": (),
    }


def test_a_state_that_is_one_value_has_the_path_of_the_root() -> None:
    assert leaves(7) == {"/": 7}
    assert leaves({}) == {"/": {}}


def test_a_long_list_of_plain_values_is_one_leaf() -> None:
    state = {"generator": (3, tuple(range(625))), "few": [0] * 8, "mixed": [[0]] * 9}
    paths = [*leaves(state)]
    assert "/generator/1" in paths
    assert len([path for path in paths if path.startswith("/few")]) == 8
    assert len([path for path in paths if path.startswith("/mixed")]) == 9


def test_keys_that_look_alike_stay_apart() -> None:
    state = {1: "a", "1": "b", "a": {"b": "c"}, "a/b": "d", "'1'": "e", "": "f"}
    assert leaves(state) == {
        "/1": "a",
        "/'1'": "b",
        "/a/b": "c",
        "/'a/b'": "d",
        "/\"'1'\"": "e",
        "/''": "f",
    }


@given(states)
def test_every_state_has_leaves(state: Any) -> None:
    for path, leaf in leaves(state).items():
        assert path.startswith("/")
        assert kind(leaf)
        if isinstance(leaf, torch.Tensor):
            assert change(leaf, leaf.clone()).elements == 0


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (torch.zeros(2, 3, dtype=torch.uint8), "uint8 [2, 3]"),
        (torch.zeros(()), "float32 []"),
        (1.5, "float"),
        (None, "NoneType"),
        ((0,) * 9, "tuple of 9"),
        ({}, "dict of 0"),
    ],
    ids=str,
)
def test_kinds_are_told_in_words(leaf: Any, text: str) -> None:
    assert kind(leaf) == text


# ---------------------------------------------------------------- numbers in a tensor


@pytest.mark.parametrize("dtype", [t for t in DTYPES if not t.is_complex], ids=str)
def test_the_numbers_of_every_type_are_summed_up(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[0, 1], [1, 0], [1, 1]]).to(dtype)
    assert spread(tensor) == pytest.approx((0, 1, 4 / 6, 0))
    assert spread(tensor.t()[:, ::2]) == pytest.approx((0, 1, 3 / 4, 0))


def test_nans_are_counted_apart() -> None:
    assert spread(torch.tensor([math.nan, 2.0, -1.0, math.nan])) == (-1, 2, 0.5, 2)
    assert spread(torch.tensor([-math.inf, 0.0]))[:2] == (-math.inf, 0)
    assert str(spread(torch.tensor([math.nan]))) == "Spread(least=nan, most=nan, mean=nan, nans=1)"


def test_nothing_and_complex_numbers_have_no_spread() -> None:
    assert spread(torch.zeros(0, 3)) is None
    assert spread(torch.zeros(2, dtype=torch.complex64)) is None


def test_a_tensor_of_several_pieces_is_summed_up_as_a_whole() -> None:
    tensor = torch.zeros((1 << 20) + 5, dtype=torch.uint8)
    tensor[-1] = 200
    assert spread(tensor)[:2] == (0, 200)
    assert change(tensor, torch.zeros_like(tensor)) == (1, 200)


# ---------------------------------------------------------------- differences


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_differing_elements_of_every_type_are_counted(dtype: torch.dtype) -> None:
    one = torch.tensor([0, 1, 0, 1, 0]).to(dtype)
    other = torch.tensor([0, 1, 1, 0, 0]).to(dtype)
    assert change(one, other) == (2, 1)
    assert change(one, one.clone()) == (0, 0)


def test_the_order_in_memory_makes_no_difference() -> None:
    square = torch.arange(6.0).reshape(2, 3)
    assert change(square, square.t().contiguous().t()) == (0, 0)
    assert change(square[0, 1], square[1, 1]) == (1, 3)


def test_differences_are_those_of_bits() -> None:
    assert change(torch.tensor([0.0]), torch.tensor([-0.0])) == (1, 0)
    assert change(torch.tensor([math.nan]), torch.tensor([math.nan])) == (0, 0)


def test_a_nan_among_the_differences_is_told() -> None:
    count, most = change(torch.tensor([1.0, 5.0, 2.0]), torch.tensor([2.0, math.nan, 2.0]))
    assert count == 2
    assert math.isnan(most)
