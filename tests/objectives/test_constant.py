"""Networks whose weights are constants for a while."""

import pytest
import torch
from torch import nn

from hookrl.objectives.constant import constant_parameters


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1, bias=False))


def test_the_gradient_passes_through_and_leaves_none_behind():
    net, x = network(), torch.ones(2, 3, requires_grad=True)
    net(x).sum().backward()
    expected = x.grad
    net.zero_grad()
    x.grad = None
    with constant_parameters(net):
        value = net(x).sum()
    value.backward()
    assert torch.equal(x.grad, expected)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_parameters_are_the_same_objects_afterwards_whatever_happened():
    net = network()
    before = [*net.parameters()]
    with pytest.raises(ValueError, match="within"), constant_parameters(net):
        raise ValueError("within")
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_layer_that_occurs_twice_is_constant_in_both_places():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    with constant_parameters(net):
        assert not net(torch.ones(1, 2)).requires_grad
    assert net(torch.ones(1, 2)).requires_grad


def test_it_holds_parameters_that_are_inside_a_transform():
    net, x = network(), torch.ones(2, 3)

    def objective(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(_Both(net), parameters, (x,))

    gradients = torch.func.grad(objective)({f"net.{k}": p for k, p in net.named_parameters()})
    net(x).sum().backward()
    for name, parameter in net.named_parameters():
        assert torch.allclose(gradients[f"net.{name}"], parameter.grad)


class _Both(nn.Module):
    """The value once with weights that learn and once with ones that do not."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with constant_parameters(self.net):
            constant = self.net(x).sum()
        return self.net(x).sum() + constant
