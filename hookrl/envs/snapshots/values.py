"""What an attribute holds, as tensors and plain values, and back into the very same thing.

A checkpoint holds tensors and plain values; an environment's attributes are also arrays, NumPy
scalars, deques and random generators, and its next step depends on such differences: a NumPy
float32 computes otherwise than a float, an array in Fortran order is summed in another order.
`pack` writes each of them as a tagged tuple that says which it was. Something that is referred to
twice stays one thing. Nothing is ever built from a name that a checkpoint gives, except the five
bit generators of NumPy.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from hookrl.envs.snapshots.generators import pack_generator, unpack_generator
from hookrl.errors import InvalidType, InvalidValue

Packed = Any
"""A plain value, a list or dict of packed values, or a tuple of a tag and what belongs to it."""

_PLAIN = (type(None), bool, int, float, str)


class Unpackable(InvalidType):
    """A value that no snapshot can hold."""


def pack(value: Any) -> Packed:
    """Copy `value` into tensors and plain values.

    Args:
        value: None, bool, int, float, complex, str or bytes; a NumPy array or scalar; a tensor; a
            generator of `random`, NumPy or torch; or a list, tuple, dict, OrderedDict or deque of
            those.

    Raises:
        Unpackable: if `value`, or something inside it, is of another type, or is one of two arrays
            that share their memory.
    """
    return _Packer().pack(value, "")


def unpack(packed: Packed) -> Any:
    """Inverse of `pack`.

    Raises:
        InvalidValue: if `packed` is not what `pack` gives.
    """
    try:
        return _Unpacker().unpack(packed)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InvalidValue(f"a snapshot is damaged ({error}): expected what `take` gave.") from None


def same(one: Packed, other: Packed) -> bool:
    """Whether two packed values are equal bit for bit; NaN equals NaN."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return False
        return _bytes_of(one) == _bytes_of(other)
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return repr(one) == repr(other)


class _Packer:
    """One pass over a value; remembers what it has met."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []
        """Keeps what was met from being freed, so that no identity is used twice."""
        self._memory: set[int] = set()

    def pack(self, value: Any, path: str) -> Packed:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, np.generic):
            return _pack_scalar(value, path)
        if kind is tuple:
            return ("tuple", self._items(value, path))
        if kind is bytes:
            return ("bytes", _bytes(value))
        if kind is complex:
            return ("complex", value.real, value.imag)
        if id(value) in self._numbers:
            return ("same", self._numbers[id(value)])
        self._numbers[id(value)] = len(self._numbers)
        self._alive.append(value)
        if kind is np.ndarray:
            self._claim(_owner(value), path)
            return _pack_array(value, path)
        if kind is torch.Tensor:
            return self._pack_tensor(value, path)
        if kind is list:
            return self._items(value, path)
        if kind is deque:
            return ("deque", value.maxlen, self._items(value, path))
        if kind is dict and all(type(key) in _PLAIN for key in value):
            return {key: self.pack(item, _inside(path, key)) for key, item in value.items()}
        if kind in (dict, OrderedDict):
            return ("dict" if kind is dict else "ordered", self._entries(value, path))
        state = pack_generator(value)
        if state is None:
            raise Unpackable(f"{path or 'it'} is a {_name(kind)}, which no snapshot can hold")
        return ("generator", state[0], self.pack(state[1], path))

    def _items(self, values: Any, path: str) -> list[Packed]:
        return [self.pack(item, f"{path}[{index}]") for index, item in enumerate(values)]

    def _entries(self, values: Mapping[Any, Any], path: str) -> list[Packed]:
        return [
            [self.pack(key, path), self.pack(item, _inside(path, key))]
            for key, item in values.items()
        ]

    def _pack_tensor(self, value: torch.Tensor, path: str) -> Packed:
        if value.layout != torch.strided or value.requires_grad:
            raise Unpackable(f"{path or 'it'} is a sparse tensor, or one that requires gradients")
        if value.numel():
            self._claim(value.untyped_storage().data_ptr(), path)
        return ("tensor", str(value.device), value.cpu().clone())

    def _claim(self, address: int, path: str) -> None:
        if address in self._memory:
            raise Unpackable(f"{path or 'it'} shares its memory with another array")
        self._memory.add(address)


class _Unpacker:
    """One pass over a packed value, which numbers what it makes as `_Packer` did."""

    def __init__(self) -> None:
        self._made: list[Any] = []

    def unpack(self, packed: Packed) -> Any:
        if type(packed) in _PLAIN:
            return packed
        if type(packed) is list:
            items: list[Any] = self._keep([])
            items.extend(self.unpack(item) for item in packed)
            return items
        if type(packed) is dict:
            named: dict[Any, Any] = self._keep({})
            for name, item in packed.items():
                named[name] = self.unpack(item)
            return named
        if type(packed) is not tuple:
            raise TypeError(f"a {type(packed).__name__} without a tag")
        tag, *content = packed
        if tag == "same":
            return self._made[content[0]]
        if tag == "tuple":
            return tuple(self.unpack(item) for item in content[0])
        if tag in _IMMUTABLE:
            return _IMMUTABLE[tag](*content)
        if tag in _LEAVES:
            return self._keep(_LEAVES[tag](*content))
        if tag == "deque":
            queue: deque[Any] = self._keep(deque(maxlen=content[0]))
            queue.extend(self.unpack(item) for item in content[1])
            return queue
        if tag in ("dict", "ordered"):
            entries: dict[Any, Any] = self._keep({} if tag == "dict" else OrderedDict())
            for key, item in content[0]:
                entries[self.unpack(key)] = self.unpack(item)
            return entries
        if tag == "generator":
            number = len(self._made)
            self._made.append(None)
            self._made[number] = unpack_generator(content[0], self.unpack(content[1]))
            return self._made[number]
        raise KeyError(f"unknown tag {tag!r}")

    def _keep(self, made: Any) -> Any:
        self._made.append(made)
        return made


def _pack_scalar(value: np.generic, path: str) -> Packed:
    if isinstance(value, np.str_):
        return str(value)
    # As an array of no dimensions, which has the type of the scalar.
    return ("scalar", _pack_array(np.asarray(value), path))


def _pack_array(value: np.ndarray, path: str) -> Packed:
    if value.dtype.hasobject:
        raise Unpackable(f"{path or 'it'} is an array of Python objects")
    axes = sorted(range(value.ndim), key=lambda axis: -abs(value.strides[axis]))
    order = None if axes == sorted(axes) else axes
    plain = np.array(value.transpose(axes), order="C")
    try:
        return ("array", order, torch.from_numpy(plain))
    except (TypeError, ValueError):  # what torch does not know: text, times, long doubles, records
        return ("raw array", order, _type_of(plain), list(plain.shape), _bytes(plain.tobytes()))


def _unpack_array(order: list[int] | None, tensor: torch.Tensor) -> np.ndarray:
    return _in_order(order, tensor.cpu().numpy().copy())


def _unpack_raw(order: Any, dtype: Any, shape: list[int], content: torch.Tensor) -> np.ndarray:
    plain = np.frombuffer(_content(content), dtype=np.dtype(dtype))
    return _in_order(order, plain.reshape(shape).copy())


def _in_order(order: list[int] | None, plain: np.ndarray) -> np.ndarray:
    """Put the axes back; in memory they stay as they are."""
    return plain if order is None else plain.transpose(np.argsort(order))


def _unpack_scalar(packed: Packed) -> Any:
    return unpack(packed)[()]


def _bytes(value: bytes) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(value, dtype=np.uint8).copy())


def _content(tensor: torch.Tensor) -> bytes:
    return tensor.cpu().numpy().tobytes()


_IMMUTABLE: dict[str, Callable[..., Any]] = {
    "scalar": _unpack_scalar,
    "complex": complex,
    "bytes": _content,
}
_LEAVES: dict[str, Callable[..., Any]] = {
    "array": _unpack_array,
    "raw array": _unpack_raw,
    "tensor": lambda device, tensor: tensor.to(torch.device(device), copy=True),
}


def _inside(path: str, key: Any) -> str:
    if not isinstance(key, str):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def _type_of(array: np.ndarray) -> Any:
    """The type of an array as text, or as the fields of a record."""
    return array.dtype.str if array.dtype.names is None else array.dtype.descr


def is_foreign(array: np.ndarray) -> bool:
    """Whether `array` shows memory that belongs to something else than an array."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base is not None


def _owner(array: np.ndarray) -> int:
    """Address of the memory that `array` is, or shows a part of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return int(array.__array_interface__["data"][0])


def _bytes_of(tensor: torch.Tensor) -> bytes:
    flat = tensor.cpu().contiguous()
    # as_strided: the stride of a dimension of size 1 may be anything.
    return flat.as_strided((flat.numel(),), (1,)).view(torch.uint8).numpy().tobytes()


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
