import pytest
import torch

pytest.importorskip("rsl_rl")

from benchmarks.peers.rsl_rl_ppo import CartPoleTask, TwoActions


def test_a_choice_has_the_probabilities_of_its_logits():
    choice = TwoActions(1)
    choice.update(torch.tensor([[0.0, 0.0], [0.0, 3.0]]).log_softmax(-1))
    assert choice.mean.flatten().tolist() == pytest.approx([0.5, 0.9526], abs=1e-4)
    found = choice.log_prob(torch.tensor([[0.0], [1.0]])).exp()
    assert found.tolist() == pytest.approx([0.5, 0.9526], abs=1e-4)
    assert choice.entropy[0].item() == pytest.approx(0.6931, abs=1e-4)
    assert choice.sample().shape == (2, 1)
    assert choice.deterministic_output(torch.tensor([[1.0, 2.0], [2.0, 1.0]])).tolist() == [
        [1.0],
        [0.0],
    ]


def test_only_the_time_limit_counts_as_a_time_out():
    task = CartPoleTask(16, seed=0)
    for _ in range(30):
        observation, reward, dones, extras = task.step(torch.ones(16, 1))
        assert observation["policy"].shape == (16, 4)
        assert reward.tolist() == [1.0] * 16
        if dones.any():
            assert not extras["time_outs"].any()
            return
    raise AssertionError("pushed to the right for 30 steps, no pole fell")
