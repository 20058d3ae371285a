"""States for checkpoint tests, drawn at random, and what it means that two are the same."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.bool),
    *(torch.uint64, torch.uint32, torch.uint16, torch.uint8),
    *(torch.complex64, torch.complex128),
]


def assert_same(one: Any, other: Any) -> None:
    """Equal in type, structure, order and bits; NaN equals NaN."""
    if isinstance(other, torch.Tensor):
        assert isinstance(one, torch.Tensor)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert torch.equal(bits(one), bits(other))
        return
    assert type(one) is type(other)
    if isinstance(other, dict):
        assert len(one) == len(other)
        for left, right in zip(one.items(), other.items(), strict=True):
            assert_same(left, right)
    elif isinstance(other, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert repr(one) == repr(other)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The memory of a tensor, in order of its elements."""
    # as_strided: the stride of a dimension of size 1 may be anything.
    return tensor.detach().contiguous().as_strided((tensor.numel(),), (1,)).view(torch.uint8)


@st.composite
def tensors(draw: Any) -> torch.Tensor:
    """Tensors of every type and of up to three dimensions, empty and non-contiguous ones too."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    size = torch.empty(shape, dtype=dtype).numel() * dtype.itemsize
    random_bytes = torch.randint(0, 256, (size,), dtype=torch.uint8, generator=generator)
    if dtype == torch.bool:
        random_bytes %= 2
    tensor = random_bytes.view(dtype).reshape(shape)
    if shape and draw(st.booleans()):
        tensor = tensor.transpose(0, -1)[::2]
    return tensor


plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**127), 2**128 - 1)
    | st.floats()
    | st.text(max_size=5)
)
keys = st.one_of(plain, st.tuples(plain, plain))
states = st.recursive(
    plain | tensors(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)
