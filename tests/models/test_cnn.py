"""The Nature network on either image layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hookrl.models import NatureCNN


def image(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def test_channel_first_and_channel_last_see_the_same_image() -> None:
    first, last = NatureCNN((4, 84, 84)), NatureCNN((84, 84, 4))
    pixels = image(2, 4, 84, 84)
    torch.testing.assert_close(first(pixels), last(pixels.permute(0, 2, 3, 1)))


def test_it_has_the_published_number_of_parameters() -> None:
    convolutions = 4 * 32 * 64 + 32 + 32 * 64 * 16 + 64 + 64 * 64 * 9 + 64
    linear = 7 * 7 * 64 * 512 + 512
    assert sum(p.numel() for p in NatureCNN((4, 84, 84)).parameters()) == convolutions + linear


def test_images_need_not_be_square() -> None:
    assert NatureCNN((50, 96, 3))(image(2, 50, 96, 3)).shape == (2, 512)


def test_pixels_are_scaled_to_the_unit_interval() -> None:
    network = NatureCNN((1, 36, 36))
    white = torch.full((1, 1, 36, 36), 255, dtype=torch.uint8)
    torch.testing.assert_close(network(white), network.layers(torch.ones(1, 1, 36, 36)))


def test_leading_dimensions_are_kept() -> None:
    network = NatureCNN((1, 36, 36))
    pixels = image(2, 3, 1, 36, 36)
    assert network(pixels).shape == (2, 3, 512)
    torch.testing.assert_close(network(pixels)[1], network(pixels[1]))


def test_building_never_touches_the_global_generator() -> None:
    before = torch.get_rng_state()
    NatureCNN((1, 36, 36))
    assert torch.equal(torch.get_rng_state(), before)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 36 by 36 pixels, got \(7, 7, 3\)"):
        NatureCNN((7, 7, 3))


def test_anything_but_three_axes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images of 3 axes, got \(84, 84\)"):
        NatureCNN((84, 84))
