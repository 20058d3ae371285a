import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import QuadraticLoss, make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import LearningRateSchedule, linear_schedule


def falling(frames):
    return 1.0 / (1 + frames)


def scheduled(batches=3, optimizer=None, **options):
    """A trainer with a schedule, and the rate of each of its optimizer steps."""
    trainer = make_trainer(batches, **options)
    optimizer = optimizer or trainer.optimizer
    LearningRateSchedule(optimizer, falling).register(trainer)
    rates = []
    trainer.register_op("post_optim", lambda: rates.append(float(optimizer.param_groups[0]["lr"])))
    return trainer, rates


def test_an_update_uses_the_rate_of_the_frames_before_its_batch():
    trainer, rates = scheduled(3)
    trainer.train()
    expected = [falling(0), falling(0), falling(10), falling(10), falling(20), falling(20)]
    assert rates == expected


def test_the_logged_rate_is_the_one_that_the_batch_was_learned_with():
    trainer, rates = scheduled(3)
    trainer.train()
    assert [row["train/learning_rate"] for _, row in trainer.logger.rows] == rates[::2]


def test_every_parameter_group_gets_the_rate():
    a, b = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(()))
    optimizer = torch.optim.SGD([{"params": [a], "lr": 5.0}, {"params": [b], "lr": 7.0}])
    trainer, _ = scheduled(2, optimizer)
    trainer.train()
    assert [group["lr"] for group in optimizer.param_groups] == [falling(20)] * 2


def test_a_rate_that_is_a_tensor_is_written_in_place():
    loss, rate = QuadraticLoss(), torch.tensor(0.1)
    optimizer = torch.optim.SGD(loss.parameters(), lr=rate)
    trainer, _ = scheduled(2, optimizer, loss_module=loss)
    trainer.train()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(falling(20))


def test_after_loading_a_state_the_rate_that_was_due_comes_first():
    before, _ = scheduled(2)
    before.train()
    after, rates = scheduled(1)
    after.load_state_dict(before.state_dict())
    after.train()
    assert rates == [falling(20)] * 2


def test_training_a_second_time_goes_on_with_the_schedule():
    trainer, rates = scheduled(1)
    trainer.train()
    trainer.train()
    assert rates == [falling(0)] * 2 + [falling(10)] * 2


@given(
    start=st.floats(0, 1),
    end=st.floats(0, 1),
    frames=st.integers(1, 10**9),
    share=st.floats(0, 1),
)
def test_a_linear_schedule_is_the_straight_line_between_its_ends(start, end, frames, share):
    schedule = linear_schedule(start, end, frames)
    frame = int(share * frames)
    assert schedule(0) == start
    assert schedule(frame) == pytest.approx(start + (end - start) * frame / frames)


@given(st.integers(0, 10**9))
def test_a_linear_schedule_stays_at_its_end(beyond):
    assert linear_schedule(0.5, 0.25, 1000)(1000 + beyond) == 0.25


def test_a_linear_schedule_over_no_frames_is_refused():
    with pytest.raises(InvalidValue, match="frames=0: expected at least 1"):
        linear_schedule(1.0, 0.0, 0)
