"""Target networks: frozen copies that follow a network, at once or slowly."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import TypeVar

import torch
from torch import Tensor, nn

from hookrl.errors import InvalidValue

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """Copy a network as a target: the same in everything, but without gradients."""
    target = copy.deepcopy(module).requires_grad_(False)
    target.zero_grad()
    return target


@torch.no_grad()
def soft_update(source: nn.Module, target: nn.Module, tau: float) -> None:
    """Move a target towards its network: ``target += tau * (source - target)``.

    What the network keeps in buffers (running statistics, say) is copied.

    Args:
        source: the network that is trained.
        target: its `frozen_copy`.
        tau: how far, in (0, 1]; 1 copies.

    Raises:
        InvalidValue: `tau` outside (0, 1], or networks of different structure.
    """
    if not 0.0 < tau <= 1.0:
        raise InvalidValue(f"soft_update expects tau above 0 and at most 1, got {tau!r}.")
    followed: tuple[list[Tensor], list[Tensor]] = [], []
    copied: tuple[list[Tensor], list[Tensor]] = [], []
    for old, new in _pairs(source, target):
        follows = isinstance(new, nn.Parameter) and new.is_floating_point() and tau < 1.0
        pair = followed if follows else copied
        pair[0].append(old)
        pair[1].append(new)
    if followed[0]:
        torch._foreach_lerp_(followed[0], followed[1], tau)
    if copied[0]:
        torch._foreach_copy_(copied[0], copied[1])


def hard_update(source: nn.Module, target: nn.Module) -> None:
    """Copy a network's parameters and buffers into its target.

    Raises:
        InvalidValue: networks of different structure.
    """
    soft_update(source, target, 1.0)


def _pairs(source: nn.Module, target: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Each tensor of the target, once, and what it follows."""
    seen: set[Tensor] = set()
    # Not named_parameters(), which takes four times as long and is called at every step.
    for part, twin in zip_longest(source.modules(), target.modules()):
        if type(part) is not type(twin):
            raise _another_structure(source, target)
        for name, new in chain(part._parameters.items(), part._buffers.items()):
            if new is None:
                continue
            old = twin._buffers.get(name, twin._parameters.get(name))
            if old is None or old.shape != new.shape:
                raise _another_structure(source, target)
            if old not in seen:
                seen.add(old)
                yield old, new


def _another_structure(source: nn.Module, target: nn.Module) -> InvalidValue:
    return InvalidValue(
        f"A target network follows a network of its own structure, got a {type(source).__name__} "
        f"for a {type(target).__name__} that is no copy of it: make it with frozen_copy()."
    )
