"""SAC's losses by hand, with a policy and critics of one number each."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from objectives.sac_losses import LOSSES
from tensordict import TensorDict
from torch import Tensor, nn

from hookrl.objectives import SACLoss


class Coin(nn.Module):
    """A policy with the action tanh(shift + noise) and the log-probability -1, for sums by hand."""

    observation_keys = ("observation",)
    noise_size = 1

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.0))

    def sample(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.shift + noise, 0.0 * self.shift - torch.ones(len(noise))


class Slopes(nn.Module):
    """Two critics: Q_1 = w_1 a and Q_2 = w_2 a."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor([2.0, 3.0]))

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        return self.slopes[:, None, None] * action


def by_hand(**entries: Any) -> tuple[SACLoss, TensorDict]:
    loss = SACLoss(Coin(), Slopes(), gamma=0.5, alpha_init=0.1, target_entropy=0.25)
    loss.target_critics.slopes.copy_(torch.tensor([4.0, 6.0]))
    nested = {
        "observation": torch.zeros(1, 1),
        "reward": torch.tensor([[1.0]]),
        "terminated": torch.tensor([[entries.pop("terminated", False)]]),
        "truncated": torch.tensor([[entries.pop("truncated", False)]]),
    }
    batch = TensorDict(
        {
            "observation": torch.zeros(1, 1),
            "action": torch.ones(1, 1),
            "next": nested,
            "noise": {"action": torch.tensor([[2.0]]), "next_action": torch.tensor([[5.0]])},
        },
        [1],
    )
    return loss, batch.update({key: torch.tensor([[value]]) for key, value in entries.items()})


@pytest.mark.parametrize(
    ("entries", "discount"),
    [
        ({}, 0.5),
        ({"terminated": True}, 0.0),
        ({"truncated": True}, 0.5),
        ({"steps_to_next_obs": 3}, 0.125),
    ],
    ids=["running", "terminated", "truncated", "three steps"],
)
def test_losses_by_hand(entries: dict[str, Any], discount: float) -> None:
    loss, batch = by_hand(**entries)
    result = loss(batch)
    target = 1 + discount * (4 * 5 + 0.1)  # the least of the targets, minus α log p
    assert result["td_target"].item() == pytest.approx(target)
    assert result["loss_qvalue"].item() == pytest.approx((2 - target) ** 2 + (3 - target) ** 2)
    assert result["loss_actor"].item() == pytest.approx(0.1 * -1 - 2 * 2)
    assert result["loss_alpha"].item() == pytest.approx(math.log(0.1) * (1 - 0.25))
    assert result["q_value"].item() == pytest.approx(2.5)
    assert result["entropy"].item() == pytest.approx(1)
    assert batch["td_error"].tolist() == pytest.approx([max(abs(2 - target), abs(3 - target))])


def test_weights_multiply_every_loss() -> None:
    loss, batch = by_hand()
    plain = loss(batch)
    loss, batch = by_hand(_weight=0.25)
    weighted = loss(batch)
    for key in LOSSES:
        assert weighted[key].item() == pytest.approx(0.25 * plain[key].item())


def test_temperature_rises_when_entropy_is_too_low() -> None:
    loss, batch = by_hand()
    loss.target_entropy = 2.0  # the entropy is 1
    loss(batch)["loss_alpha"].backward()
    assert loss.log_alpha.grad is not None
    assert loss.log_alpha.grad.item() < 0
