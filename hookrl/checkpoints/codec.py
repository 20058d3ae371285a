"""State as a skeleton and flat tensors.

The skeleton is JSON: nested containers and plain values, with a reference wherever a tensor stood.
Both backends store this pair, so a checkpoint means the same in either and nothing in it can be
executed. Keys of any plain kind and tuples survive, which JSON alone would not allow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from hookrl.errors import InvalidType

Encoded = tuple[str, dict[str, torch.Tensor]]
"""The skeleton as JSON text, and the tensors it refers to by name."""

_PLAIN = (str, int, float, bool, type(None))


def encode(state: Any) -> Encoded:
    """Take `state` apart; tensors are referred to, not copied.

    Raises:
        InvalidType: for a value that is neither a tensor, a plain value nor a container of those;
            the message says where it is.
    """
    tensors: dict[str, torch.Tensor] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, torch.Tensor) and value.layout == torch.strided:
            name = f"t{len(tensors)}"
            tensors[name] = value.detach()
            return {"tensor": name}
        if isinstance(value, Mapping):
            return {
                "dict": [
                    [walk(key, path), walk(item, f"{path}/{key}")] for key, item in value.items()
                ]
            }
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [walk(item, f"{path}/{index}") for index, item in enumerate(value)]}
        if isinstance(value, _PLAIN):
            return value
        raise InvalidType(
            f"the state at {path or '/'} is a {type(value).__name__}: expected a dense tensor, a "
            "plain value, or a list, tuple or mapping of those."
        )

    return json.dumps(walk(state, "")), tensors


def decode(skeleton: str, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Put together what `encode` took apart."""

    def walk(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind == "tensor":
            return tensors[content]
        if kind == "dict":
            return {walk(key): walk(item) for key, item in content}
        items = [walk(item) for item in content]
        return items if kind == "list" else tuple(items)

    return walk(json.loads(skeleton))
