import pytest
from toys import make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import TrainFrequency, WarmUp


def steps_after_each_batch(*hooks, batches=5, state=None):
    trainer, steps = make_trainer(batches), []
    for hook in hooks:
        hook.register(trainer)
    if state is not None:
        trainer.load_state_dict(state)
    trainer.register_op("post_steps", lambda: steps.append(trainer.optim_steps))
    trainer.train()
    return steps, trainer


def test_learning_starts_with_the_batch_that_reaches_the_frames():
    assert steps_after_each_batch(WarmUp(30))[0] == [0, 0, 2, 4, 6]


def test_a_number_between_two_batches_waits_for_the_later():
    assert steps_after_each_batch(WarmUp(21))[0] == [0, 0, 2, 4, 6]


def test_without_frames_to_wait_for_learning_starts_at_once():
    assert steps_after_each_batch(WarmUp(0))[0] == [2, 4, 6, 8, 10]


def test_nothing_is_prepared_or_sampled_while_waiting():
    trainer, calls = make_trainer(2), []
    WarmUp(20).register(trainer)
    trainer.register_op("process_optim_batch", lambda batch: calls.append(trainer.collected_frames))
    trainer.train()
    assert calls == [20, 20]


def test_the_inner_loop_runs_when_another_multiple_was_reached():
    assert steps_after_each_batch(TrainFrequency(20))[0] == [0, 2, 2, 4, 4]


def test_thresholds_are_crossed_never_hit_exactly():
    assert steps_after_each_batch(TrainFrequency(15))[0] == [0, 2, 4, 4, 6]


def test_a_batch_of_many_multiples_is_learned_from_once():
    assert steps_after_each_batch(TrainFrequency(3), batches=3)[0] == [2, 4, 6]


def test_after_loading_a_state_the_next_multiple_is_the_same():
    _, trainer = steps_after_each_batch(TrainFrequency(30), batches=2)
    steps, _ = steps_after_each_batch(TrainFrequency(30), batches=2, state=trainer.state_dict())
    assert steps == [2, 2]


def test_warm_up_and_frequency_go_together():
    assert steps_after_each_batch(TrainFrequency(20), WarmUp(40))[0] == [0, 0, 0, 2, 2]


@pytest.mark.parametrize(("hook", "number"), [(WarmUp, -1), (TrainFrequency, 0)])
def test_numbers_below_the_minimum_are_refused(hook, number):
    with pytest.raises(InvalidValue, match=f"={number}"):
        hook(number)
