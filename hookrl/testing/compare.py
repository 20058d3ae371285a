"""Where two nested values differ first, and copies of values to compare with later."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from tensordict import TensorDictBase


class Difference(NamedTuple):
    """The first place in which two values are not the same."""

    where: str
    one: str
    other: str


def frozen(value: Any) -> Any:
    """Copy what can change in `value`: containers, tensors, arrays, generators.

    Any other object is taken as it is, so only its identity counts.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, TensorDictBase):
        return {key: frozen(value.get(key)) for key in value.keys(True, True)}
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return frozen(value.bit_generator.state)
    if isinstance(value, Mapping):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [frozen(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: frozen(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    return value


def difference(one: Any, other: Any, where: str = "") -> Difference | None:
    """Return the first difference between two `frozen` values, or None.

    Tensors are compared bit by bit and NaN equals NaN; mappings of any kind are alike, and so are
    lists and tuples.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return Difference(f"the names in {where or 'it'}", str(list(one)), str(list(other)))
        pairs = [(f"{where}/{_text(key)}", one[key], other[key]) for key in one]
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        if len(one) != len(other):
            return Difference(f"the length of {where or 'it'}", str(len(one)), str(len(other)))
        pairs = [
            (f"{where}/{index}", left, right)
            for index, (left, right) in enumerate(zip(one, other, strict=True))
        ]
    elif _same(one, other):
        return None
    else:
        return Difference(where or "it", _short(one), _short(other))
    found = (difference(left, right, path.lstrip("/")) for path, left, right in pairs)
    return next((first for first in found if first is not None), None)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(
            one, other, equal_nan=one.dtype.kind in "fc"
        )
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return False
        return torch.equal(_bytes(one), _bytes(other))
    plain = (str, bytes, int, float, complex, bool, np.generic)
    return type(one) is type(other) and isinstance(one, plain) and repr(one) == repr(other)


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        if value.numel() == 1:
            return str(value.item())
        flat = ", ".join(f"{item:g}" for item in value.reshape(-1)[:4].tolist())
        return f"tensor({tuple(value.shape)}: {flat}, …)"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _text(key: Any) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
