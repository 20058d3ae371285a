"""Spaces as lists of tensors, and fitting actions into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from hookrl.envs.spaces import action_fitter, at, leaves, nest, own_copy
from hookrl.errors import InvalidType

NESTED = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (2, 2, 3), np.uint8),
        "arm": spaces.Dict({"angle": spaces.Box(-1, 1, (3,), np.float64)}),
        "gear": spaces.Discrete(4, start=1),
    }
)


@pytest.mark.parametrize(
    ("space", "shape", "dtype"),
    [
        (spaces.Box(-1, 1, (3,), np.float32), (3,), torch.float32),
        (spaces.Box(-1, 1, (2, 3), np.float64), (2, 3), torch.float32),
        (spaces.Box(-1, 1, (), np.float16), (), torch.float32),
        (spaces.Box(0, 255, (4, 4, 3), np.uint8), (4, 4, 3), torch.uint8),
        (spaces.Box(-5, 5, (1,), np.int32), (1,), torch.int32),
        (spaces.Discrete(3, start=-1), (), torch.int64),
        (spaces.MultiDiscrete([2, 3]), (2,), torch.int64),
        (spaces.MultiDiscrete([[2, 3], [4, 5]]), (2, 2), torch.int64),
    ],
    ids=str,
)
def test_a_plain_space_is_one_leaf(
    space: spaces.Space[Any], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    (leaf,) = leaves(space, "observation")
    assert (leaf.path, leaf.shape, leaf.dtype) == ((), shape, dtype)


def test_a_nested_dict_has_one_leaf_for_each_entry() -> None:
    found = {leaf.path: leaf.dtype for leaf in leaves(NESTED, "observation")}
    assert found == {
        ("arm", "angle"): torch.float32,
        ("camera",): torch.uint8,
        ("gear",): torch.int64,
    }


def test_an_unsupported_space_is_named() -> None:
    with pytest.raises(InvalidType) as caught:
        leaves(spaces.Text(5), "action")
    assert str(caught.value) == (
        "the action space is Text(1, 5, charset="
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz): expected Box, Discrete, "
        "MultiDiscrete, or a Dict of those; wrap the environment so that it has one."
    )


def test_an_unsupported_space_inside_a_dict_is_located() -> None:
    space = spaces.Dict({"a": spaces.Dict({"b": spaces.MultiBinary(3)})})
    with pytest.raises(InvalidType, match=r"the observation space at 'a\.b' is MultiBinary\(3\)"):
        leaves(space, "observation")


paths = st.lists(st.text(min_size=1, max_size=3), max_size=3).map(tuple)


@given(st.sets(paths, min_size=1, max_size=6))
def test_nest_puts_back_what_at_takes_apart(found: set[tuple[str, ...]]) -> None:
    apart = {p for p in found if not any(q != p and q[: len(p)] == p for q in found)}
    tree = nest([(path, path) for path in apart])
    assert all(at(tree, path) == path for path in apart)


def test_own_copy_shares_no_memory_with_the_environment() -> None:
    observation = {
        "camera": np.zeros((2, 2, 2, 3), np.uint8),
        "arm": {"angle": np.zeros((2, 3), np.float32)},
        "gear": torch.zeros(2, dtype=torch.int64),
    }
    copied = own_copy(observation, leaves(NESTED, "observation"))
    observation["camera"][:] = 1
    observation["arm"]["angle"][:] = 1
    observation["gear"][:] = 1
    assert not copied["camera"].any()
    assert not copied["arm"]["angle"].any()
    assert not copied["gear"].any()


@pytest.mark.parametrize("value", [np.zeros((2, 3)), torch.zeros(2, 3, dtype=torch.float64)])
def test_own_copy_makes_float32_of_float64(value: Any) -> None:
    copied = own_copy(value, leaves(spaces.Box(-1, 1, (3,), np.float64), "observation"))
    assert str(copied.dtype).removeprefix("torch.") == "float32"


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_box_actions_are_clipped_to_the_bounds_of_each_dimension(kind: Any) -> None:
    low, high = np.array([-1, -2], np.float32), np.array([1, np.inf], np.float32)
    fit = action_fitter(leaves(spaces.Box(low, high), "action"))
    action = kind([[-3.0, -3.0], [0.5, 9.0]])
    fitted = fit(action)
    assert type(fitted) is type(action)
    np.testing.assert_array_equal(np.asarray(fitted), [[-1, -2], [0.5, 9]])


def test_clipping_leaves_the_policys_action_as_it_was() -> None:
    action = np.array([[5.0]], np.float32)
    action_fitter(leaves(spaces.Box(-1, 1, (1,)), "action"))(action)
    assert action == 5


def test_in_a_dict_of_actions_only_boxes_are_clipped() -> None:
    space = spaces.Dict({"push": spaces.Box(-1, 1, (1,)), "gear": spaces.Discrete(9)})
    fit = action_fitter(leaves(space, "action"))
    fitted = fit({"push": np.array([[7.0]], np.float32), "gear": np.array([7])})
    assert (fitted["push"], fitted["gear"]) == (1, 7)
