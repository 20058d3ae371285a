"""What the tests of SAC's losses share: a loss with targets of its own, its noise and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from gymnasium import spaces
from tensordict import TensorDict
from torch import Tensor, nn

from hookrl.models import SquashedGaussianPolicy, TwinCritics
from hookrl.objectives import SACLoss

OBSERVATION = spaces.Box(-1, 1, (3,))
ACTIONS = spaces.Box(torch.tensor([-1.0, -2.0]).numpy(), torch.tensor([1.0, 3.0]).numpy())
LOSSES = ("loss_actor", "loss_qvalue", "loss_alpha")
B = 32
"""Size of the fixture's batch."""


def randomize(tensors: Iterator[Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for tensor in tensors:
        nn.init.normal_(tensor, std=0.5, generator=generator)


def loss_for(num_critics: int = 2, **options: Any) -> SACLoss:
    """A loss whose targets are other networks, as after some training."""
    policy = SquashedGaussianPolicy.from_spaces(OBSERVATION, ACTIONS, hidden_sizes=(8,))
    critics = TwinCritics.from_spaces(
        OBSERVATION, ACTIONS, hidden_sizes=(8,), num_critics=num_critics
    )
    randomize(policy.parameters(), 0)
    randomize(critics.parameters(), 1)
    loss = SACLoss(policy, critics, **options)
    randomize(loss.target_critics.parameters(), 2)
    return loss


def with_noise(batch: TensorDict, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    for name in ("action", "next_action"):
        batch["noise", name] = torch.randn(len(batch), 2, generator=generator)
    return batch


def total(losses: TensorDict) -> Tensor:
    return torch.stack([losses[key] for key in LOSSES if key in losses]).sum()


def our_gradients(ours: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    params = dict(ours.named_parameters())
    grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    return {name: g for name, g in zip(params, grads, strict=True) if g is not None}


def assert_same_gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-4, atol=1e-5, msg=name)
