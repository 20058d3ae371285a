"""The initialisations: torch's own is torch's own, from a generator that is not torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hookrl.models import MLP, NatureCNN
from hookrl.models.initialization import uniform


@pytest.mark.parametrize(
    ("layer", "args"), [(nn.Linear, (7, 5)), (nn.Conv2d, (3, 4, 2))], ids=["linear", "conv"]
)
def test_uniform_is_what_torch_draws_from_the_same_seed(layer: Any, args: tuple[int, ...]) -> None:
    ours = uniform(layer, *args, gain=1.0, generator=torch.Generator().manual_seed(3))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = layer(*args)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_layers_without_a_bias_are_built() -> None:
    assert uniform(nn.Linear, 2, 3, gain=1.0, generator=torch.Generator(), bias=False).bias is None


def test_uniform_never_touches_the_global_generator() -> None:
    before = torch.get_rng_state()
    MLP(3, (5,), 2, initialization="uniform")
    NatureCNN((1, 36, 36), initialization="uniform")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "build",
    [
        lambda name: MLP(3, (4,), initialization=name),
        lambda name: NatureCNN((1, 36, 36), initialization=name),
    ],
    ids=["MLP", "NatureCNN"],
)
def test_unknown_initialization_is_refused_with_the_nearest_name(build: Any) -> None:
    with pytest.raises(ValueError, match=r"got 'orthogonl' .did you mean 'orthogonal'"):
        build("orthogonl")


def test_nature_cnn_can_end_in_its_convolutions() -> None:
    network = NatureCNN((4, 84, 84), None)
    assert network.out_features == 7 * 7 * 64
    assert network(torch.zeros(2, 4, 84, 84, dtype=torch.uint8)).shape == (2, 7 * 7 * 64)
