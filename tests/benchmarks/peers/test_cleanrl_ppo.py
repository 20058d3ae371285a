import torch

from benchmarks.peers.cleanrl_ppo import estimate_advantages


def test_advantages_are_those_computed_by_hand():
    # Steps of one environment; the second observation begins an episode.
    rewards = torch.tensor([[1.0], [2.0], [3.0]])
    values = torch.tensor([[0.5], [1.0], [1.5]])
    dones = torch.tensor([[0.0], [1.0], [0.0]])
    found = estimate_advantages(
        rewards, values, dones, torch.tensor([[2.0]]), torch.tensor([0.0]), 0.9, 0.5
    )
    last = 3.0 + 0.9 * 2.0 - 1.5
    middle = 2.0 + 0.9 * 1.5 - 1.0 + 0.9 * 0.5 * last
    first = 1.0 - 0.5  # nothing follows it
    torch.testing.assert_close(found, torch.tensor([[first], [middle], [last]]))


def test_an_end_at_the_last_step_cuts_off_the_next_value():
    one = torch.ones((1, 1))
    found = estimate_advantages(one, one, 0 * one, 5 * one, torch.ones(1), 0.9, 0.5)
    assert found.item() == 0.0
