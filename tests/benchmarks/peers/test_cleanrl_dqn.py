from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("stable_baselines3")

from benchmarks.peers.cleanrl_dqn import linear, td_loss


def test_exploration_falls_evenly_and_stays_at_its_end():
    assert linear(1.0, 0.1, 100, 0) == 1.0
    assert linear(1.0, 0.1, 100, 50) == pytest.approx(0.55)
    assert linear(1.0, 0.1, 100, 300) == 0.1


def test_the_loss_is_the_mean_squared_error_to_the_best_next_value():
    data = SimpleNamespace(
        observations=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        next_observations=torch.tensor([[5.0, 6.0], [7.0, 8.0]]),
        actions=torch.tensor([[0], [1]]),
        rewards=torch.tensor([[1.0], [2.0]]),
        dones=torch.tensor([[0.0], [1.0]]),
    )
    # The values are the observations themselves: 1 + 0.5 · 6 against 1, and 2 against 4.
    loss = td_loss(torch.nn.Identity(), torch.nn.Identity(), data, 0.5)
    assert loss.item() == ((1 + 0.5 * 6 - 1) ** 2 + (2 - 4) ** 2) / 2
