import pytest

from sota import dqn_acrobot_prioritized, ppo_cartpole, sides
from sota.row import FAST, HOOKRL, fast


@pytest.fixture
def trained(monkeypatch):
    """The configs and seeds that were trained with, instead of training."""
    calls = []
    monkeypatch.setattr(sides, "train_hookrl", lambda config, seed: calls.append((config, seed)))
    return calls


@pytest.mark.parametrize("row", [ppo_cartpole.ROW, dqn_acrobot_prioritized.ROW])
def test_each_side_of_ours_is_trained_with_its_settings(row, trained):
    sides.train(row, HOOKRL, 3)
    sides.train(row, FAST, 4)
    assert trained == [(row.hookrl, 3), (fast(row.hookrl), 4)]


def test_a_variant_is_trained_with_its_own_settings(trained):
    row = dqn_acrobot_prioritized.ROW
    sides.train(row, row.peer.name, 1)
    assert trained == [(row.peer.config, 1)]
