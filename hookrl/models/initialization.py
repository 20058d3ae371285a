"""Layers with initial weights drawn from a generator of their own.

Building a network must neither depend on torch's process-wide generator nor advance it: otherwise
a metric or a second network, built before, would change a seeded run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from hookrl.errors import InvalidValue, did_you_mean

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def own_generator(generator: torch.Generator | None) -> torch.Generator:
    """Return `generator`, or a fresh one with seed 0: never the process-wide one."""
    return torch.Generator().manual_seed(0) if generator is None else generator


def orthogonal(
    layer: type[Layer], *args: Any, gain: float, generator: torch.Generator, **kwargs: Any
) -> Layer:
    """Build a layer with orthogonal weights (Saxe et al., arXiv:1312.6120) and zero biases.

    Args:
        layer: `nn.Linear` or `nn.Conv2d`.
        args: what it is built with, as are `kwargs`.
        gain: factor on the weights.
        generator: where the weights are drawn from, a CPU generator.
        kwargs: see `args`.

    Returns:
        The layer, float32 on the CPU.
    """
    # skip_init leaves out the constructor's own initialisation, which draws from the global one.
    module: Layer = nn.utils.skip_init(layer, *args, **kwargs)
    nn.init.orthogonal_(module.weight, gain, generator=generator)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def uniform(
    layer: type[Layer], *args: Any, gain: float, generator: torch.Generator, **kwargs: Any
) -> Layer:
    """Build a layer as torch does by default: all from U(-b, b) with ``b = 1 / sqrt(fan_in)``.

    The published implementations of DQN and SAC start from these.

    Args:
        layer: `nn.Linear` or `nn.Conv2d`.
        args: what it is built with, as are `kwargs`.
        gain: taken for the sake of `orthogonal` and not used.
        generator: where weights and biases are drawn from, a CPU generator.
        kwargs: see `args`.

    Returns:
        The layer, float32 on the CPU.
    """
    module: Layer = nn.utils.skip_init(layer, *args, **kwargs)
    bound = 1 / math.sqrt(module.weight[0].numel())
    nn.init.uniform_(module.weight, -bound, bound, generator=generator)
    if module.bias is not None:
        nn.init.uniform_(module.bias, -bound, bound, generator=generator)
    return module


INITIALIZATIONS: dict[str, Callable[..., Any]] = {"orthogonal": orthogonal, "uniform": uniform}
"""Ways to build a layer, by name."""


def initialization_named(name: str, owner: str) -> Callable[..., Any]:
    """Return the entry of `INITIALIZATIONS`.

    Args:
        name: its name.
        owner: who asks, for the error text.

    Raises:
        InvalidValue: there is none of that name.
    """
    if name not in INITIALIZATIONS:
        raise InvalidValue(
            f"{owner} expects initialization to be one of {', '.join(map(repr, INITIALIZATIONS))}, "
            f"got {name!r}{did_you_mean(str(name), INITIALIZATIONS)}."
        )
    return INITIALIZATIONS[name]
