"""What a forward pass may do while it is traced: compute, and nothing that is kept in Python."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from hookrl.constants import is_plain, parts_of
from hookrl.graph import NotCapturable


@contextlib.contextmanager
def pure(computes: Any) -> Iterator[None]:
    """Put back what the block assigns to attributes of what computes in it, and refuse it.

    A graph would go on with what was assigned once, and what is assigned while it is traced are
    tensors without numbers. Random generators of the process are put back as well.

    Args:
        computes: a module, with all in it, or a callable.

    Raises:
        NotCapturable: after the block, naming what was assigned.
    """
    kept = [
        (part, attributes, dict(attributes))
        for part in parts_of(computes)
        for attributes in _attributes(part)
    ]
    generators = _host_generators()
    assigned: list[str] = []
    try:
        yield
    finally:
        for part, attributes, before in kept:
            assigned += [
                f"{type(part).__name__}.{name}"
                for name in {**before, **attributes}
                if _is_assigned(part, name, attributes, before)
            ]
            attributes.clear()
            attributes.update(before)
    if assigned:
        raise NotCapturable(f"a forward pass assigns {assigned[0]}, which a graph would not do")
    if _host_generators() != generators:
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        raise NotCapturable(
            "a forward pass draws random numbers of Python or NumPy, of which a graph would repeat "
            "the first: expected torch's"
        )


def _attributes(part: Any) -> list[dict[str, Any]]:
    """Where an object keeps its attributes."""
    if isinstance(part, nn.Module):
        return [part._parameters, part._buffers, part._modules, vars(part)]
    return [vars(part)]


def _is_assigned(part: Any, name: str, attributes: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an attribute is another one now, by what matters."""
    if name in before:
        value, old = attributes.get(name, pure), before[name]
        return value is not old and not (is_plain(value) and is_plain(old) and value == old)
    if isinstance(attributes[name], torch.Tensor):
        return True
    # What is made when it is first asked for may be made again.
    made = isinstance(getattr(type(part), name, None), functools.cached_property)
    return is_plain(attributes[name]) and not made


def _host_generators() -> tuple[Any, Any]:
    name, words, *rest = np.random.get_state(legacy=True)
    return random.getstate(), (name, tuple(np.asarray(words).tolist()), *rest)
