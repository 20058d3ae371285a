"""Encoders: from an observation of any supported space to one float32 vector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hookrl.models.cnn import NatureCNN
from hookrl.models.initialization import own_generator
from hookrl.models.spaces import unsupported_space

Observation: TypeAlias = Any
"""A tensor; for Dict spaces a mapping or TensorDict of observations."""

SUPPORTED_OBSERVATIONS = "Box, Discrete, MultiDiscrete and (nested) Dict of these"


class FlattenEncoder(nn.Module):
    """Vectors, or arrays of any shape, flattened to float32.

    Args:
        shape: shape of one observation.
    """

    out_features: int
    """Size of the last dimension of the output."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.axes = len(shape)
        self.out_features = math.prod(shape)

    def forward(self, observation: Tensor) -> Tensor:
        """Map ``[..., *shape]`` of any dtype to float32 ``[..., out_features]``."""
        if self.axes != 1:
            leading = observation.shape[: observation.ndim - self.axes]
            observation = observation.reshape((*leading, self.out_features))
        return observation.float()


class OneHotEncoder(nn.Module):
    """One or several categories, as concatenated one-hot vectors.

    A category outside its range has no hot entry: finding out would synchronise the device.

    Args:
        counts: number of categories of each variable, in any shape; ``()`` for a single one.
        starts: first category of each variable, of the same shape.
    """

    out_features: int
    """Size of the last dimension of the output."""
    _variables: Tensor
    _categories: Tensor

    def __init__(self, counts: np.ndarray, starts: np.ndarray) -> None:
        super().__init__()
        self.axes = counts.ndim
        pairs = [
            (variable, start + offset)
            for variable, (count, start) in enumerate(zip(counts.flat, starts.flat, strict=True))
            for offset in range(count)
        ]
        self.size = counts.size
        self.out_features = len(pairs)
        # Of each output: which variable it looks at and which category it stands for.
        variables, categories = torch.tensor(pairs, dtype=torch.int64).unbind(1)
        self.register_buffer("_variables", variables.contiguous(), persistent=False)
        self.register_buffer("_categories", categories.contiguous(), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Map integers ``[..., *counts.shape]`` to float32 ``[..., out_features]``."""
        leading = observation.shape[: observation.ndim - self.axes]
        variables = observation.reshape((*leading, self.size))
        return (variables[..., self._variables] == self._categories).float()


class DictEncoder(nn.Module):
    """A mapping of observations, each encoded and all concatenated in the order of the space.

    Args:
        encoders: encoder of each key, with ``out_features``.
    """

    out_features: int
    """Size of the last dimension of the output."""

    def __init__(self, encoders: Mapping[str, Encoder]) -> None:
        super().__init__()
        # A list beside the names: ModuleDict refuses keys with dots, which spaces may have.
        self.names = tuple(encoders)
        self.encoders = nn.ModuleList(encoders.values())
        self.out_features = sum(encoder.out_features for encoder in encoders.values())

    def forward(self, observation: Observation) -> Tensor:
        """Map a mapping or TensorDict of observations to float32 ``[..., out_features]``."""
        parts = zip(self.names, self.encoders, strict=True)
        return torch.cat([encoder(observation[name]) for name, encoder in parts], -1)


Encoder: TypeAlias = FlattenEncoder | OneHotEncoder | NatureCNN | DictEncoder
"""A module from observations to vectors of ``out_features``."""


def encoder_for(
    space: spaces.Space[Any],
    *,
    initialization: str = "orthogonal",
    generator: torch.Generator | None = None,
    where: str = "observation",
) -> Encoder:
    """Build the encoder of an observation space.

    - Box of uint8 with three axes: `NatureCNN`;
    - any other Box: flattened, float32, not scaled;
    - Discrete, MultiDiscrete: (concatenated) one-hot vectors, counted from ``start``;
    - Dict: concatenation of the keys' encodings in the space's order.

    Args:
        space: space of a single observation, without an environment axis.
        initialization: a name in `hookrl.models.initialization.INITIALIZATIONS`.
        generator: where weights are drawn from; None for a fresh one with seed 0.
        where: what the space is called in error texts.

    Raises:
        InvalidType: any other space, or a Dict without keys.
        InvalidValue: an image too small for `NatureCNN`.
    """
    generator = own_generator(generator)
    match space:
        case spaces.Box() if space.dtype == np.uint8 and len(space.shape) == 3:
            return NatureCNN(space.shape, initialization=initialization, generator=generator)
        case spaces.Box():
            return FlattenEncoder(space.shape)
        case spaces.Discrete():
            return OneHotEncoder(np.asarray(space.n), np.asarray(space.start))
        case spaces.MultiDiscrete():
            return OneHotEncoder(space.nvec, space.start)
        case spaces.Dict() if space.spaces:
            return DictEncoder(
                {
                    name: encoder_for(
                        sub,
                        initialization=initialization,
                        generator=generator,
                        where=f"{where}[{name!r}]",
                    )
                    for name, sub in space.spaces.items()
                }
            )
    raise unsupported_space(space, where, SUPPORTED_OBSERVATIONS)
