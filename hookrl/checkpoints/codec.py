"""State as a skeleton and flat tensors.

The skeleton is JSON: nested containers and plain values, with a reference wherever a tensor stood.
Both backends store this pair, so a checkpoint means the same in either and nothing in it can be
executed. Keys of any plain kind and tuples survive, which JSON alone would not allow.

What stands for what in the skeleton:

====================== =====================================================
a plain value          itself
a tensor               ``{"tensor": name}``, each tensor once
a list or tuple        ``{"list": [item, …]}``, ``{"tuple": [item, …]}``
a mapping              ``{"dict": [[key, item], …]}``
====================== =====================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from hookrl.checkpoints.memory import DTYPES
from hookrl.errors import InvalidType, InvalidValue
from hookrl.state import LiveTensor

Encoded = tuple[str, dict[str, torch.Tensor | LiveTensor]]
"""The skeleton as JSON text, and the tensors it refers to by name, as they are written."""
Stored = tuple[str, dict[str, torch.Tensor]]
"""The same, as they are read."""

MAX_DEPTH = 100
"""How deep containers may be nested: more than any state is, less than Python's stack allows."""
_DTYPES = set(DTYPES.values())
_PLAIN = (str, int, float, bool, type(None))


def encode(state: Any) -> Encoded:
    """Take `state` apart; tensors are referred to, not copied.

    Raises:
        InvalidType: for a value that is neither a tensor, a plain value nor a container of those;
            the message says where it is.
        InvalidValue: for containers that are nested too deep, or that contain themselves.
    """
    tensors: dict[str, torch.Tensor | LiveTensor] = {}
    tree = _walk(state, "", 0, tensors)
    try:
        return json.dumps(tree), tensors
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidValue(f"the state has a value that cannot be stored: {error}.") from None


# Not a function within `encode`: one that calls itself refers to itself, and what it refers to,
# such as all tensors, would stay in memory until the garbage collector comes by.
def _walk(value: Any, path: str, depth: int, tensors: dict[str, torch.Tensor | LiveTensor]) -> Any:
    """Take a part of the state apart, putting its tensors to the others."""
    if depth > MAX_DEPTH:
        raise InvalidValue(
            f"the state at {path[:40]}… is nested deeper than the {MAX_DEPTH} levels that a "
            "checkpoint can hold: does it contain itself?"
        )
    if isinstance(value, LiveTensor) or _is_dense(value):
        name = f"t{len(tensors)}"
        live = isinstance(value, LiveTensor)
        tensors[name] = value if live else value.detach().resolve_conj().resolve_neg()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {
            "dict": [
                [_encode_key(key, path), _walk(item, f"{path}/{key}", depth + 1, tensors)]
                for key, item in value.items()
            ]
        }
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {
            kind: [_walk(item, f"{path}/{n}", depth + 1, tensors) for n, item in enumerate(value)]
        }
    if isinstance(value, _PLAIN):
        return value
    raise InvalidType(
        f"the state at {path or '/'} is a {type(value).__name__}: expected a dense tensor, a "
        "plain value, or a list, tuple or mapping of those."
    )


def _is_dense(tensor: Any) -> bool:
    """Whether something is a tensor, and its bytes are all there is to it."""
    return (
        isinstance(tensor, torch.Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type != "meta"
        and tensor.dtype in _DTYPES
        and not is_traceable_wrapper_subclass(tensor)
    )


def _encode_key(key: Any, path: str) -> Any:
    if isinstance(key, tuple):
        return {"tuple": [_encode_key(part, path) for part in key]}
    if isinstance(key, _PLAIN):
        return key
    raise InvalidType(
        f"the state at {path or '/'} has a {type(key).__name__} for a key: expected a plain value, "
        "or a tuple of those."
    )


class _Node(NamedTuple):
    """What is no plain value in a skeleton."""

    kind: str
    content: Any


def decode(skeleton: str, tensors: Mapping[str, torch.Tensor | LiveTensor]) -> Any:
    """Put together what `encode` took apart.

    Raises:
        InvalidValue: for anything that `encode` does not produce.
    """
    if not isinstance(skeleton, str):
        raise InvalidValue(
            f"the skeleton of the state is a {type(skeleton).__name__}: expected text."
        )
    try:
        # Without parse_constant all NaNs would be one object, and equal as keys.
        tree = json.loads(skeleton, object_pairs_hook=_node, parse_constant=float)
    except RecursionError:
        raise InvalidValue("the skeleton of the state is nested too deep.") from None
    except json.JSONDecodeError as error:
        raise InvalidValue(f"the skeleton of the state is no JSON: {error}.") from None
    except ValueError as error:
        raise InvalidValue(
            f"the skeleton of the state is not what it should be: {error}."
        ) from None
    left = dict(tensors)
    state = _decode(tree, left, 0)
    if left:
        raise InvalidValue(f"the state has the tensor {min(left)!r}, to which nothing refers.")
    return state


def _node(pairs: list[tuple[str, Any]]) -> _Node:
    if len(pairs) != 1:
        raise ValueError(f"an object in it has {len(pairs)} members, expected one")
    return _Node(*pairs[0])


def _decode(value: Any, left: dict[str, torch.Tensor | LiveTensor], depth: int) -> Any:
    """Decode a part of the skeleton, taking its tensors from those that are left."""
    if depth > MAX_DEPTH:
        raise InvalidValue("the skeleton of the state is nested too deep.")
    if isinstance(value, _PLAIN):
        return value
    if not isinstance(value, _Node):
        raise _malformed("a list that says not what it is")
    kind, content = value
    if kind == "tensor":
        if not isinstance(content, str) or content not in left:
            raise _malformed(f"a reference to {str(content)[:40]!r}, which is no tensor of its own")
        return left.pop(content)
    if kind not in ("list", "tuple", "dict"):
        raise _malformed(f"a {kind[:40]!r}, which is unknown")
    if not isinstance(content, list):
        raise _malformed(f"a {kind} without a list of items")
    if kind == "dict":
        return _decode_dict(content, left, depth)
    items = [_decode(item, left, depth + 1) for item in content]
    return items if kind == "list" else tuple(items)


def _decode_dict(
    content: list[Any], left: dict[str, torch.Tensor | LiveTensor], depth: int
) -> dict[Any, Any]:
    found = {}
    for pair in content:
        if type(pair) is not list or len(pair) != 2:
            raise _malformed("an item that is not a key and a value")
        key = _decode_key(pair[0], depth + 1)
        if key in found:
            raise _malformed(f"the key {str(key)[:40]!r} twice")
        found[key] = _decode(pair[1], left, depth + 1)
    return found


def _decode_key(value: Any, depth: int) -> Any:
    if isinstance(value, _Node):
        if value.kind != "tuple" or not isinstance(value.content, list) or depth > MAX_DEPTH:
            raise _malformed(f"a {value.kind[:40]} for a key")
        return tuple(_decode_key(part, depth + 1) for part in value.content)
    if not isinstance(value, _PLAIN):
        raise _malformed("a list for a key")
    return value


def _malformed(what: str) -> InvalidValue:
    return InvalidValue(f"the skeleton of the state has {what}.")
