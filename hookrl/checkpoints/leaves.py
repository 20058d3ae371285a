"""A state as a flat list of what it holds, and the sizes and differences of its tensors."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from hookrl.checkpoints.memory import dense, flat

_SHORT = 8
"""A list of more plain values than this is one leaf: a generator's state has hundreds."""
_PLAIN = (str, int, float, bool, type(None))
_PIECE = 1 << 20
"""Elements of a tensor that are looked at together: a mapped one may be larger than memory."""


class Spread(NamedTuple):
    """What the numbers in a tensor are like; those that are NaN are only counted."""

    least: float
    most: float
    mean: float
    nans: int


class Change(NamedTuple):
    """How two tensors of one type and shape differ, bit for bit."""

    elements: int
    """How many differ."""
    most: float
    """By how much at most; NaN if there is a NaN among them."""


def leaves(state: Any) -> dict[str, Any]:
    """Return tensors, plain values, long lists of those, and empty containers, by their paths.

    A key is shown as it is, unless it would be taken for another one or for a path.
    """
    return dict(_walk(state, ""))


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        alike = Counter(str(key) for key in value)
        for key, item in value.items():
            clear = re.fullmatch(r"[^/'\"][^/]*", str(key)) and alike[str(key)] == 1
            yield from _walk(item, f"{path}/{key if clear else repr(key)}")
    elif isinstance(value, list | tuple) and value and not _is_row(value):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}/{index}")
    else:
        yield path or "/", value


def _is_row(value: list[Any] | tuple[Any, ...]) -> bool:
    return len(value) > _SHORT and all(isinstance(item, _PLAIN) for item in value)


def kind(leaf: Any) -> str:
    """Return type and shape of a leaf in words."""
    if isinstance(leaf, torch.Tensor):
        return f"{str(leaf.dtype).removeprefix('torch.')} {list(leaf.shape)}"
    name = type(leaf).__name__
    return f"{name} of {len(leaf)}" if isinstance(leaf, list | tuple | dict) else name


def spread(tensor: torch.Tensor) -> Spread | None:
    """Return what the numbers in a tensor are like; None: it has none, or complex ones."""
    if not tensor.numel() or tensor.dtype.is_complex:
        return None
    least, most, total, nans = math.inf, -math.inf, 0.0, 0
    for piece in flat(dense(tensor)).split(_PIECE):
        numbers = piece.to(torch.float64)
        valid = numbers[~numbers.isnan()]
        nans += len(numbers) - len(valid)
        if len(valid):
            least, most = min(least, valid.min().item()), max(most, valid.max().item())
            total += valid.sum().item()
    count = tensor.numel() - nans
    if not count:
        return Spread(math.nan, math.nan, math.nan, nans)
    return Spread(least, most, total / count, nans)


def change(one: torch.Tensor, other: torch.Tensor) -> Change:
    """Return how two tensors of one type and shape differ."""
    elements, most = 0, 0.0
    size = one.element_size()
    pieces = (flat(tensor.contiguous()).split(_PIECE) for tensor in (one, other))
    for left, right in zip(*pieces, strict=True):
        bits = [piece.view(torch.uint8).view(-1, size) for piece in (left, right)]
        differ = (bits[0] != bits[1]).any(-1)
        if not differ.any():
            continue
        elements += int(differ.sum())
        wide = torch.complex128 if one.dtype.is_complex else torch.float64
        by = (left.to(wide)[differ] - right.to(wide)[differ]).abs()
        most = max(most, by.max().item(), key=_nan_last)
    return Change(elements, most)


def _nan_last(number: float) -> float:
    return math.inf if math.isnan(number) else number
