"""Writing only if a step was permitted, which is known to the graph alone."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class WritesIf(TorchDispatchMode):
    """Lets operations in place change their tensors under a condition.

    Args:
        condition: bool ``[]``; where it is False every tensor stays what it was.
    """

    def __init__(self, condition: torch.Tensor) -> None:
        super().__init__()
        self._condition = condition

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        written = []
        for place, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                value = args[place] if place < len(args) else given.get(argument.name)
                written += [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
        before = [tensor.clone() for tensor in written]
        result = func(*args, **given)
        for tensor, old in zip(written, before, strict=True):
            tensor.copy_(torch.where(self._condition, tensor, old))
        return result
