import inspect
from types import SimpleNamespace

import pytest
from toys import make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import EarlyStopping
from hookrl.trainers import Trainer

rows_reach_hooks = pytest.mark.skipif(
    "on_metrics" not in inspect.getsource(Trainer),
    reason="the trainer does not call on_metrics yet",
)


def judged(scores, hook, *, frames_per_row=10, start=0):
    """Show the hook one row after the other; where it asked to stop, and why."""
    trainer = SimpleNamespace(collected_frames=start, stop_reason=None)
    trainer.request_stop = lambda reason: setattr(trainer, "stop_reason", reason)
    for score in scores:
        trainer.collected_frames += frames_per_row
        hook.on_metrics(trainer, {} if score is None else {"x": score})
        if trainer.stop_reason is not None:
            return trainer.collected_frames, trainer.stop_reason
    return None


def test_a_threshold_stops_once_it_is_reached():
    hook = EarlyStopping("x", threshold=2.0)
    assert judged([1.0, 1.9, 2.0, 3.0], hook) == (30, "x reached 2 after 30 frames")


def test_where_smaller_is_better_the_threshold_is_reached_from_above():
    hook = EarlyStopping("x", threshold=2.0, mode="min")
    assert judged([3.0, 2.5, 1.0], hook) == (30, "x reached 1 after 30 frames")


def test_patience_counts_frames_since_the_best():
    hook = EarlyStopping("x", patience=20)
    assert judged([1.0, 3.0, 2.0, 2.9, 5.0], hook) == (40, "x is no better than 3 since 20 frames")


def test_an_improvement_in_time_begins_anew():
    assert judged([1.0, 0.9, 1.1, 1.0, 1.2], EarlyStopping("x", patience=20)) is None


def test_an_improvement_must_exceed_the_minimum():
    hook = EarlyStopping("x", patience=20, min_delta=0.5)
    assert judged([1.0, 1.4, 1.5], hook) == (30, "x is no better than 1 since 10 frames")


def test_the_smaller_the_better_if_so_asked():
    hook = EarlyStopping("x", patience=20, mode="min")
    assert judged([3.0, 2.0, 2.0, 2.5], hook) == (40, "x is no better than 2 since 20 frames")


def test_the_first_frames_are_ignored():
    hook = EarlyStopping("x", threshold=2.0, patience=20, wait_for=30)
    assert judged([9.0, 9.0, 1.0, 1.0, 1.0], hook) == (50, "x is no better than 1 since 30 frames")


def test_rows_without_the_metric_change_nothing():
    assert judged([1.0, None, None, 2.0], EarlyStopping("x", patience=30)) is None


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_stops_unless_told_otherwise(score):
    frames, reason = judged([1.0, score], EarlyStopping("x", patience=50))
    assert frames == 20
    assert reason.startswith(f"x is {score}")
    assert judged([1.0, score], EarlyStopping("x", patience=50, check_finite=False)) is None


def test_after_loading_a_state_the_best_is_remembered():
    before, after = EarlyStopping("x", patience=20), EarlyStopping("x", patience=20)
    judged([3.0, 2.0], before)
    after.load_state_dict(before.state_dict())
    assert judged([2.0], after, start=20) == (30, "x is no better than 3 since 10 frames")


@rows_reach_hooks
def test_the_batch_whose_row_decides_is_the_last():
    trainer = make_trainer(9, log_interval=20)
    trainer.register_op("pre_steps_log", lambda batch: {"x": trainer.collected_frames})
    EarlyStopping("x", threshold=30).register(trainer)  # the rows hold 15, 35, …
    trainer.train()
    assert trainer.collected_frames == 40
    assert trainer.stop_reason == "x reached 35 after 40 frames"


@rows_reach_hooks
def test_without_a_logger_the_metric_is_watched_all_the_same():
    trainer = make_trainer(9, logger=None)
    trainer.register_op("pre_steps_log", lambda batch: {"x": 1.0})
    EarlyStopping("x", patience=20).register(trainer)
    trainer.train()
    assert trainer.collected_frames == 30


@rows_reach_hooks
def test_a_checkpoint_knows_the_row_that_was_written_before_it(tmp_path):
    file = tmp_path / "trainer.pt"
    trainer = make_trainer(3, save_trainer_file=file, save_trainer_interval=10)
    trainer.register_op("pre_steps_log", lambda batch: {"x": 5.0})
    hook = EarlyStopping("x", patience=50)
    hook.register(trainer)
    trainer.register_op("post_steps", lambda: 1 / 0, every=2)
    with pytest.raises(ZeroDivisionError):
        trainer.train()  # after the first batch's checkpoint
    again, fresh = make_trainer(0), EarlyStopping("x", patience=50)
    fresh.register(again)
    again.register_op("post_steps", lambda: None, every=2)
    again.load_from_file(file)
    assert (fresh.best_score, fresh._best_frames) == (5.0, 10)


def test_a_metric_that_was_never_there_is_warned_of_with_the_nearest():
    hook = EarlyStopping("eval/mean_rewards", patience=5)
    hook.on_metrics(SimpleNamespace(collected_frames=1), {"eval/mean_reward": 1.0})
    with pytest.warns(UserWarning, match="did you mean 'eval/mean_reward'"):
        hook.on_train_end(None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no reason to stop"),
        ({"threshold": 1.0, "mode": "maximum"}, "did you mean 'max'"),
        ({"patience": -1}, "patience=-1"),
        ({"threshold": 1.0, "min_delta": -0.1}, "min_delta=-0.1"),
        ({"threshold": 1.0, "wait_for": -1}, "wait_for=-1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        EarlyStopping("x", **arguments)
