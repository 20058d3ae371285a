"""The tensors of a network by name, for hooks that keep a second set of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.errors import InvalidType, InvalidValue
from hookrl.state import same_keys

Tensors = dict[str, torch.Tensor]


def parameters_and_buffers(network: Any) -> tuple[Tensors, Tensors]:
    """Return what can be averaged of a module or TensorDict, and what can only be copied, by name.

    The tensors are those of the network itself. Of a module its buffers are the latter; of a
    TensorDict, which does not tell them apart, everything that is no floating-point number.

    Raises:
        InvalidType: if it is neither, or holds no parameters.
    """
    averaged: Tensors = {}
    copied: Tensors = {}
    if isinstance(network, TensorDictBase):  # torchrl's TensorDictParams is a module as well
        for key, tensor in network.items(include_nested=True, leaves_only=True):
            name = key if isinstance(key, str) else ".".join(key)
            (averaged if tensor.is_floating_point() else copied)[name] = tensor
    elif isinstance(network, torch.nn.Module):
        averaged, copied = dict(network.named_parameters()), dict(network.named_buffers())
    if not averaged:
        raise InvalidType(
            f"a {type(network).__name__} without parameters: expected a module or a TensorDict "
            "that holds some."
        )
    return averaged, copied


def check_alike(tensors: Mapping[str, torch.Tensor], others: Mapping[str, Any], what: str) -> None:
    """Check that both hold the same names with the same shapes.

    Raises:
        MissingKey: if names differ.
        InvalidValue: if shapes differ.
    """
    same_keys(others, tensors, owner=what)
    for name, tensor in tensors.items():
        if others[name].shape != tensor.shape:
            raise InvalidValue(
                f"{name!r} in the state for {what} has the shape {tuple(others[name].shape)}: "
                f"expected {tuple(tensor.shape)}."
            )
