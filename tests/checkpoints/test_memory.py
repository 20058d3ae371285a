"""How tensors lie in memory."""

from __future__ import annotations

import pytest
import torch

from hookrl.checkpoints.memory import DTYPES, dense, fills, flat


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((), ()),
        ((3,), (1,)),
        ((2, 3), (3, 1)),
        ((2, 3), (1, 2)),
        ((2, 1, 3), (3, 77, 1)),
        ((4, 2, 3), (1, 12, 4)),
        ((2, 0), (5, 5)),
        ((1,), (0,)),
    ],
)
def test_strides_that_fill_the_memory(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    assert fills(shape, strides)


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((3,), (2,)),
        ((3,), (0,)),
        ((3,), (-1,)),
        ((2, 2), (1, 1)),
        ((2, 3), (4, 1)),
        ((2, 3), (1, 3)),
    ],
)
def test_strides_with_gaps_or_overlaps(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    assert not fills(shape, strides)


def test_a_dense_tensor_is_not_copied() -> None:
    tensor = torch.arange(6).reshape(2, 3).t()
    assert dense(tensor) is tensor


def test_a_tensor_with_gaps_is_copied() -> None:
    tensor = torch.arange(6).reshape(2, 3)[:, ::2]
    assert dense(tensor).equal(tensor)
    assert dense(tensor).is_contiguous()


def test_the_elements_of_a_tensor_in_the_order_of_memory() -> None:
    tensor = torch.arange(6).reshape(2, 3)
    assert flat(tensor.t()).tolist() == [0, 1, 2, 3, 4, 5]
    assert flat(tensor[1:]).tolist() == [3, 4, 5]
    assert flat(tensor).data_ptr() == tensor.data_ptr()


def test_types_are_found_by_their_names() -> None:
    assert DTYPES["float32"] is torch.float32
    assert all(str(dtype) == f"torch.{name}" for name, dtype in DTYPES.items())
