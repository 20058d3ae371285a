"""The convolutional network of Mnih et al., Nature 518 (2015), for images of games."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hookrl.errors import InvalidValue
from hookrl.models.initialization import initialization_named, own_generator

_CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
"""Channels, kernel and stride of each layer."""


class NatureCNN(nn.Module):
    """Three convolutions and a layer of 512 units, ReLU after each, on uint8 images.

    Images stay uint8 up to here, a quarter of the memory in batches and buffers, and are scaled to
    [0, 1] inside. The smaller of the first and last axis of the shape holds the channels
    (the first if they are equal).

    Args:
        image_shape: shape of one image, ``[C, H, W]`` or ``[H, W, C]``.
        out_features: units of the last layer; None to end in the flattened convolutions.
        initialization: a name in `hookrl.models.initialization.INITIALIZATIONS`.
        generator: where the weights are drawn from; None for a fresh one with seed 0.

    Raises:
        InvalidValue: not three axes, an image too small for the convolutions, or an unknown
            initialization.
    """

    out_features: int
    """Size of the last dimension of the output."""
    channels_last: bool
    """Whether images come as ``[H, W, C]``."""

    def __init__(
        self,
        image_shape: Sequence[int],
        out_features: int | None = 512,
        *,
        initialization: str = "orthogonal",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(image_shape) != 3:
            raise InvalidValue(f"NatureCNN expects images of 3 axes, got {tuple(image_shape)}.")
        self.channels_last = image_shape[2] < image_shape[0]
        channels, extent = image_shape[0], list(image_shape[1:])
        if self.channels_last:
            channels, extent = image_shape[2], list(image_shape[:2])
        generator = own_generator(generator)
        build = initialization_named(initialization, "NatureCNN")
        gain = math.sqrt(2)
        layers: list[nn.Module] = []
        for filters, kernel, stride in _CONVOLUTIONS:
            layers.append(
                build(nn.Conv2d, channels, filters, kernel, stride, gain=gain, generator=generator)
            )
            layers.append(nn.ReLU())
            channels = filters
            extent = [(size - kernel) // stride + 1 for size in extent]
            if min(extent) < 1:
                raise InvalidValue(
                    f"NatureCNN expects images of at least 36 by 36 pixels, got "
                    f"{tuple(image_shape)}; flatten smaller ones."
                )
        flat_size = channels * math.prod(extent)
        layers.append(nn.Flatten())
        if out_features is not None:
            layers.append(build(nn.Linear, flat_size, out_features, gain=gain, generator=generator))
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)
        self.out_features = flat_size if out_features is None else out_features

    def forward(self, image: Tensor) -> Tensor:
        """Map uint8 images ``[..., *image_shape]`` to float32 ``[..., out_features]``."""
        leading = image.shape[:-3]
        pixels = image.reshape(-1, *image.shape[-3:])
        if self.channels_last:
            pixels = pixels.permute(0, 3, 1, 2)
        features: Tensor = self.layers(pixels.float() / 255.0)
        return features.reshape(*leading, self.out_features)
