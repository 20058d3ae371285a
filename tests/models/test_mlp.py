"""Perceptrons: shape, initialisation and independence of the global generator."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hookrl.models import MLP


def test_layers_alternate_and_end_without_activation() -> None:
    kinds = [type(layer) for layer in MLP(3, (5, 4), 2, "relu")]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


def test_without_output_layer_it_ends_in_the_last_hidden_activation() -> None:
    mlp = MLP(3, (5, 4))
    assert mlp.out_features == 4
    assert isinstance(mlp[-1], nn.Tanh)
    assert mlp(torch.zeros(7, 3)).shape == (7, 4)


def test_without_any_layer_it_is_the_identity() -> None:
    x = torch.randn(2, 3)
    mlp = MLP(3, ())
    assert mlp.out_features == 3
    assert torch.equal(mlp(x), x)


def test_weights_are_orthogonal_with_the_stated_gains_and_zero_biases() -> None:
    mlp = MLP(8, (8,), 8, out_gain=0.01)
    for layer, gain in ((mlp[0], math.sqrt(2)), (mlp[2], 0.01)):
        assert isinstance(layer, nn.Linear)
        torch.testing.assert_close(layer.weight @ layer.weight.T, gain**2 * torch.eye(8))
        assert not layer.bias.any()


def test_building_never_touches_the_global_generator() -> None:
    before = torch.get_rng_state()
    MLP(3, (5,), 2)
    MLP(3, (5,), 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_depend_on_the_given_generator_alone() -> None:
    def weight(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 100)
        layer = MLP(3, (5,), generator=torch.Generator().manual_seed(seed % 2))[0]
        assert isinstance(layer, nn.Linear)
        return layer.weight

    assert torch.equal(weight(0), weight(2))
    assert not torch.equal(weight(0), weight(1))


def test_unknown_activation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"got 'tahn' .did you mean 'tanh'"):
        MLP(3, (5,), activation="tahn")


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sizes of at least 1, .*hidden_sizes=\(5, 0\)"):
        MLP(3, (5, 0))
