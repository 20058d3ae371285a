"""How tensors lie in memory, which a checkpoint keeps.

A tensor whose dimensions are stored in another order comes back in that order: a sum over it adds
in the order of its memory, and its last bit may depend on that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from hookrl.state import LiveTensor

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.bool),
        *(torch.uint64, torch.uint32, torch.uint16, torch.uint8),
        *(torch.complex128, torch.complex64, torch.complex32),
    )
}
"""The types that a checkpoint holds, by name."""


def fills(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether a tensor of these strides takes up each place of its memory once, without gaps."""
    if math.prod(shape) == 0:
        return True
    expected = 1
    for stride, size in sorted(
        (stride, size) for stride, size in zip(strides, shape, strict=True) if size != 1
    ):
        if stride != expected:
            return False
        expected *= size
    return True


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself if it is without gaps and overlaps, otherwise a copy that is."""
    if fills(tensor.shape, tensor.stride()):
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """The elements of a dense tensor in the order of its memory, which is not copied."""
    return tensor.as_strided((tensor.numel(),), (1,))


def pieces(tensor: torch.Tensor | LiveTensor) -> Iterator[memoryview]:
    """Yield the bytes of a tensor in the order of its memory; each piece is good until the next."""
    if isinstance(tensor, LiveTensor):
        yield from tensor.pieces()
    else:
        yield flat(dense(tensor)).cpu().view(torch.uint8).numpy().data
