import pytest

from hookrl.configs import PPOConfig
from hookrl.hooks import TrainerHookBase
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


class Reader(TrainerHookBase):
    """Reads gradients as numbers while they are made, which no graph can."""

    def register(self, trainer, name="reader"):
        trainer.register_module(name, self)
        weight = next(trainer.loss_module.parameters())
        weight.register_post_accumulate_grad_hook(self.read)

    def read(self, weight):
        self.seen = float(weight.grad.sum())


def test_eager_steps_do_not_pass_for_captured_ones():
    config = PPOConfig(total_frames=64, steps_per_env=8, minibatches=1, epochs=1)
    assert sides.train_hookrl(config, 0, Reader()).frames == 64
    with (
        pytest.warns(UserWarning, match="is not captured"),
        pytest.raises(RuntimeError, match="asked for, but steps were eager: "),
    ):
        sides.train_hookrl(fast(config), 0, Reader())
