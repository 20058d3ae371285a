"""Multi-layer perceptrons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from hookrl.errors import InvalidValue, did_you_mean
from hookrl.models.blocks import in_blocks
from hookrl.models.initialization import initialization_named, own_generator
from hookrl.models.layers import Tanh

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
"""Activations by name."""


class MLP(nn.Sequential):
    """Linear layers with an activation after each but the output layer.

    By default weights are orthogonal with gain sqrt(2) in hidden layers, biases zero (details,
    core 2, of Huang et al., "The 37 implementation details of PPO", 2022).

    Args:
        in_features: size of the last input dimension.
        hidden_sizes: units of each hidden layer; may be empty.
        out_features: units of an output layer without activation; None for no such layer.
        activation: a name in `ACTIVATIONS`.
        out_gain: gain of the output layer: 0.01 for policies, 1 for values.
        initialization: a name in `hookrl.models.initialization.INITIALIZATIONS`; "uniform", which
            has no gain, is torch's own.
        generator: where the weights are drawn from; None for a fresh one with seed 0.

    Raises:
        InvalidValue: an unknown activation or initialization, or a size below 1.
    """

    in_features: int
    """Size of the last dimension of the input."""
    out_features: int
    """Size of the last dimension of the output."""
    activation: str
    """Name of the activation."""

    def __init__(
        self,
        in_features: int,
        hidden_sizes: Sequence[int],
        out_features: int | None = None,
        activation: str = "tanh",
        *,
        out_gain: float = 1.0,
        initialization: str = "orthogonal",
        generator: torch.Generator | None = None,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise InvalidValue(
                f"MLP expects activation to be one of {', '.join(map(repr, ACTIVATIONS))}, "
                f"got {activation!r}{did_you_mean(str(activation), ACTIVATIONS)}."
            )
        sizes = [in_features, *hidden_sizes]
        if min([*sizes, 1 if out_features is None else out_features]) < 1:
            raise InvalidValue(
                f"MLP expects sizes of at least 1, got in_features={in_features}, "
                f"hidden_sizes={tuple(hidden_sizes)}, out_features={out_features}."
            )
        generator = own_generator(generator)
        build = initialization_named(initialization, "MLP")
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers.append(build(nn.Linear, before, after, gain=math.sqrt(2), generator=generator))
            layers.append(ACTIVATIONS[activation]())
        if out_features is not None:
            layers.append(
                build(nn.Linear, sizes[-1], out_features, gain=out_gain, generator=generator)
            )
        super().__init__(*layers)
        self.in_features = in_features
        self.out_features = sizes[-1] if out_features is None else out_features
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        """Return ``[B, out_features]`` for ``[B, in_features]``."""
        result = in_blocks(self, input)
        if result is None:
            result = super().forward(input)
        return result
