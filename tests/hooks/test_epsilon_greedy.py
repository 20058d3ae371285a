from types import SimpleNamespace

import pytest
import torch
from toys import ListCollector, make_batch, make_trainer

from hookrl.errors import InvalidType
from hookrl.hooks import EpsilonGreedySchedule, linear_schedule

SCHEDULE = linear_schedule(1.0, 0.2, 20)


class Acting(ListCollector):
    """Remembers with which share of random actions each batch was asked for."""

    def __init__(self, network, batches):
        super().__init__([make_batch() for _ in range(batches)])
        self.network, self.seen = network, []

    def __iter__(self):
        for batch in self.batches:
            self.seen.append(float(self.network.epsilon))
            yield batch


def acting(batches, epsilon=0.5, state=None):
    network = SimpleNamespace(epsilon=epsilon)
    trainer = make_trainer(collector=Acting(network, batches))
    EpsilonGreedySchedule(network, SCHEDULE).register(trainer)
    if state is not None:
        trainer.load_state_dict(state)
    trainer.train()
    return trainer, network


def test_a_batch_is_collected_with_the_share_of_the_frames_before_it():
    trainer, _ = acting(4)
    assert trainer.collector.seen == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_the_logged_share_is_the_one_the_batch_was_collected_with():
    trainer, _ = acting(3)
    logged = [row["exploration/epsilon"] for _, row in trainer.logger.rows]
    assert logged == pytest.approx([1.0, 0.6, 0.2])


def test_a_share_that_is_a_tensor_is_written_in_place():
    epsilon = torch.tensor(0.5)
    _, network = acting(1, epsilon)
    assert network.epsilon is epsilon
    assert epsilon.item() == pytest.approx(0.6)


def test_after_loading_a_state_the_share_that_was_due_comes_first():
    state = acting(1)[0].state_dict()
    assert acting(1, state=state)[0].collector.seen == pytest.approx([0.6])


def test_a_policy_without_epsilon_is_refused():
    with pytest.raises(InvalidType, match="Linear without an attribute 'epsilon'"):
        EpsilonGreedySchedule(torch.nn.Linear(1, 1), SCHEDULE)
