"""The loop: order, counts, stopping, logging."""

import itertools

import pytest
import torch
from tensordict import TensorDict
from toys import ListCollector, MemoryLogger, make_batch, make_trainer

from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import POINTS, Mean

INNER = ["process_optim_batch", "loss", "post_loss", "optimizer", "post_optim", "post_optim_log"]


def recording_trainer(batches=1, **options):
    """A trainer with a hook at each point that writes down when it was called."""
    trainer, calls = make_trainer(batches, **options), []
    for name, point in POINTS.items():
        recorders = {
            0: lambda name=name: calls.append(name),
            1: lambda data, name=name: calls.append(name),
            4: lambda losses, clip_grad_norm, clip_norm, step, name=name: calls.append(name),
        }
        trainer.register_op(name, recorders[len(point.arguments)], name="recorder")
    inner = trainer.loss_module

    def loss(sub_batch):
        calls.append("loss")
        return inner(sub_batch)

    trainer.loss_module = loss
    return trainer, calls


def test_the_points_are_called_in_the_order_of_the_founding_page():
    trainer, calls = recording_trainer(2)
    trainer.train()
    once = [
        *("batch_process", "pre_steps_log", "pre_optim_steps"),
        *(INNER * 2),
        *("post_steps", "post_steps_log"),
    ]
    assert calls == once * 2


def test_frames_and_steps_are_counted_exactly():
    trainer = make_trainer(3, frame_skip=4)
    trainer.train()
    assert (trainer.collected_frames, trainer.optim_steps) == (3 * 10 * 4, 6)


def test_frames_that_are_masked_out_do_not_count():
    batch = make_batch()
    batch["collector", "mask"] = torch.arange(10).view(2, 5) < 7
    trainer = make_trainer([batch])
    trainer.train()
    assert trainer.collected_frames == 7


def test_frames_are_counted_before_batch_process():
    trainer, seen = make_trainer(2), []
    trainer.register_op("batch_process", lambda batch: seen.append(trainer.collected_frames))
    trainer.train()
    assert seen == [10, 20]


def test_training_ends_with_the_batch_that_reaches_the_budget():
    trainer = make_trainer(10, total_frames=25)
    trainer.train()
    assert trainer.collected_frames == 30


def test_running_out_of_batches_is_a_reason_to_stop():
    trainer = make_trainer(3)
    trainer.train()
    assert trainer.collected_frames == 30
    assert "no more batches" in trainer.stop_reason


def test_a_generator_is_collector_enough():
    trainer = make_trainer(0, collector=(make_batch() for _ in range(2)))
    trainer.train()
    assert trainer.collected_frames == 20


def test_request_stop_ends_training_after_the_current_batch():
    trainer, calls = recording_trainer(5)
    trainer.register_op("post_loss", lambda sub_batch: trainer.request_stop("enough"))
    trainer.train()
    assert trainer.collected_frames == 10
    assert calls[-1] == "post_steps_log"
    assert trainer.stop_reason == "enough"


def test_end_inner_loop_ends_it_after_post_optim_log():
    trainer, calls = recording_trainer(optim_steps_per_batch=5)
    trainer.register_op("post_loss", lambda sub_batch: trainer.end_inner_loop("enough"))
    trainer.train()
    assert trainer.optim_steps == 1
    assert calls[-3:] == ["post_optim_log", "post_steps", "post_steps_log"]


def test_end_inner_loop_before_the_first_step_leaves_the_outer_points():
    trainer, calls = recording_trainer(2)
    trainer.register_op("pre_optim_steps", trainer.end_inner_loop)
    trainer.train()
    outer = ["batch_process", "pre_steps_log", "pre_optim_steps", "post_steps", "post_steps_log"]
    assert calls == outer * 2


@pytest.mark.parametrize("exhausted", ["empty", "stop_iteration"])
def test_an_exhausted_or_empty_sub_batch_ends_the_inner_loop(exhausted):
    trainer, calls = recording_trainer(optim_steps_per_batch=None)
    count = itertools.count()

    def draw(batch):
        if next(count) < 3:
            return batch
        if exhausted == "empty":
            return batch[:0]
        raise StopIteration

    trainer.register_op("process_optim_batch", draw)
    trainer.train()
    assert trainer.optim_steps == 3
    assert calls[-2:] == ["post_steps", "post_steps_log"]


def test_steps_are_counted_once_the_optimizer_has_stepped():
    trainer, seen = make_trainer(1), []
    trainer.register_op("post_loss", lambda sub_batch: seen.append(trainer.optim_steps))
    trainer.register_op("post_optim", lambda: seen.append(trainer.optim_steps))
    trainer.train()
    assert seen == [0, 1, 1, 2]


def test_losses_are_live_until_the_optimizer_ran_and_then_detached():
    trainer, seen = make_trainer(1, optim_steps_per_batch=1), []

    def look(*arguments):
        seen.append(trainer.losses["loss_value"].requires_grad)

    trainer.register_op("post_loss", look)
    trainer.register_op("post_optim", look)
    trainer.train()
    assert seen == [True, False]


def test_what_a_hook_adds_to_the_losses_is_among_their_means():
    trainer = make_trainer([make_batch()])

    def add():
        trainer.losses["extra"] = torch.tensor(2.0)

    trainer.register_op("post_optim", add)
    seen = []
    trainer.register_op("post_steps_log", lambda batch: seen.append(trainer.mean_losses["extra"]))
    trainer.train()
    assert seen == [2.0]


def test_mean_losses_are_those_of_the_current_inner_loop():
    values = iter([1.0, 3.0, 10.0, 20.0])
    trainer, seen = make_trainer(2, with_optimizer=False), []
    trainer.loss_module = lambda sub: TensorDict({"loss_x": torch.tensor(next(values))}, [])
    trainer.register_op("post_steps_log", lambda batch: seen.append(trainer.mean_losses["loss_x"]))
    trainer.train()
    assert seen == [2.0, 15.0]


def test_prepare_runs_before_every_step():
    class Prepares:
        calls = ()

        def prepare(self, trainer):
            self.calls += ("prepare",)

        def __call__(self, batch):
            self.calls += ("call",)

    trainer, hook = make_trainer(1), Prepares()
    trainer.register_op("process_optim_batch", hook)
    trainer.train()
    assert hook.calls == ("prepare", "call") * 2


def test_a_row_is_the_mean_over_its_interval_and_its_axis_is_frames():
    trainer = make_trainer(5, log_interval=20)
    trainer.register_op("pre_steps_log", lambda batch: {"frames": trainer.collected_frames})
    trainer.train()
    assert trainer.logger.rows == [
        (20, {"frames": 15.0}),
        (40, {"frames": 35.0}),
        (50, {"frames": 50.0}),
    ]


def test_there_is_one_row_per_frame_count():
    trainer = make_trainer(4, log_interval=1)
    for point in ("pre_steps_log", "post_optim_log", "post_steps_log"):
        trainer.register_op(point, lambda batch, point=point: {point: 1.0})
    trainer.train()
    assert [step for step, _ in trainer.logger.rows] == [10, 20, 30, 40]
    assert all(len(row) == 3 for _, row in trainer.logger.rows)


@pytest.mark.parametrize("disabled", [0, None])
def test_a_log_interval_of_zero_or_none_logs_nothing(disabled):
    trainer = make_trainer(3, log_interval=disabled)
    trainer.register_op("pre_steps_log", lambda batch: {"x": 1.0})
    trainer.train()
    assert trainer.logger.rows == []


def test_what_is_marked_for_the_progress_bar_is_not_logged_as_a_metric():
    trainer = make_trainer(1)
    trainer.register_op("pre_steps_log", lambda batch: {"x": 1.0, "log_pbar": True})
    trainer.register_op("pre_steps_log", lambda batch: {"y": 2.0, "log_pbar": False})
    trainer.train()
    assert trainer.logger.rows == [(10, {"x": 1.0, "y": 2.0})]
    assert trainer.progress == {"x": 1.0}


def test_weighted_means_reach_the_row():
    counts = iter([1, 3])
    trainer = make_trainer(2, log_interval=20)
    trainer.register_op("pre_steps_log", lambda batch: {"x": Mean((n := next(counts)) * n, n)})
    trainer.train()
    assert trainer.logger.rows == [(20, {"x": 2.5})]


def test_a_loss_module_that_gives_no_tensordict_is_refused():
    trainer = make_trainer(1)
    trainer.loss_module = lambda sub_batch: torch.ones(())
    with pytest.raises(InvalidType, match="loss_module returned a Tensor: expected a TensorDict"):
        trainer.train()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("total_frames", 0),
        ("total_frames", -5),
        ("frame_skip", 0),
        ("optim_steps_per_batch", -1),
        ("log_interval", -1),
        ("save_trainer_interval", 2.5),
        ("total_frames", None),
        ("total_frames", True),
        ("clip_norm", -1),
        ("clip_norm", "a"),
    ],
)
def test_counts_below_their_minimum_are_refused_by_name(option, value):
    with pytest.raises(InvalidValue, match=f"^{option}={value!r}"):
        make_trainer(1, **{option: value})


@pytest.mark.parametrize(("option", "value"), [("collector", 3), ("loss_module", "loss")])
def test_components_of_the_wrong_kind_are_refused_by_name(option, value):
    arguments = {option: value, "with_optimizer": False}
    if option == "loss_module":
        arguments["optimizer"] = None
    with pytest.raises(InvalidType, match=f"^{option} is a"):
        make_trainer(1, **arguments)


def test_the_collector_and_the_logger_are_closed_at_the_end():
    collector, logger = ListCollector([make_batch()]), MemoryLogger()
    make_trainer(1, collector=collector, logger=logger).train()
    assert collector.closed
    assert logger.closed
