"""Registration as a user sees it, through `Trainer.register_op`."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import make_batch, make_trainer

from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import POINTS, TrainerHookBase, declares

OPERATIONS = {0: lambda: None, 1: lambda a: None, 4: lambda a, b, c, d: None}


def names(trainer, point):
    return [registration.name for registration in trainer.hooks[point]]


def test_hooks_run_by_priority_then_by_before_and_after_then_in_order_of_registration():
    trainer, seen = make_trainer(1), []
    for name, options in {
        "last": {"priority": 5},
        "b": {},
        "c": {},
        "a": {"before": "b"},
        "after_c": {"after": ["c"], "before": "d"},
        "d": {},
        "first": {"priority": -5},
    }.items():
        trainer.register_op("post_steps", lambda name=name: seen.append(name), name=name, **options)
    trainer.train()
    assert seen == ["first", "c", "a", "b", "after_c", "d", "last"]


@given(st.lists(st.integers(-2, 2), max_size=12))
def test_equal_priorities_keep_the_order_of_registration(priorities):
    trainer = make_trainer(0)
    for index, priority in enumerate(priorities):
        trainer.register_op("post_steps", OPERATIONS[0], name=str(index), priority=priority)
    expected = sorted(range(len(priorities)), key=lambda index: priorities[index])
    assert names(trainer, "post_steps") == [str(index) for index in expected]


def test_before_a_name_that_is_not_there_is_refused_when_training_starts():
    trainer = make_trainer(1)
    trainer.register_op("post_steps", OPERATIONS[0], name="a", before="lerning_rate")
    trainer.register_op("post_steps", OPERATIONS[0], name="learning_rate")
    with pytest.raises(InvalidValue, match="did you mean 'learning_rate'"):
        trainer.train()


def test_a_cycle_is_refused_when_training_starts():
    trainer = make_trainer(1)
    trainer.register_op("post_steps", OPERATIONS[0], name="a", before="b")
    trainer.register_op("post_steps", OPERATIONS[0], name="b", before="a")
    with pytest.raises(InvalidValue, match="cycle"):
        trainer.train()


def test_before_that_contradicts_priorities_is_refused():
    trainer = make_trainer(1)
    trainer.register_op("post_steps", OPERATIONS[0], name="late", priority=1, before="early")
    trainer.register_op("post_steps", OPERATIONS[0], name="early")
    with pytest.raises(InvalidValue, match="'late' is to run before 'early', but its priority 1"):
        trainer.train()


def test_two_hooks_of_one_explicit_name_at_a_point_are_refused():
    trainer = make_trainer(1)
    trainer.register_op("post_steps", OPERATIONS[0], name="mine")
    with pytest.raises(InvalidValue, match="'mine' is registered at 'post_steps' already"):
        trainer.register_op("post_steps", OPERATIONS[0], name="mine")


def test_derived_names_are_made_unique():
    def report(batch): ...

    trainer = make_trainer(1)
    trainer.register_op("pre_steps_log", report)
    trainer.register_op("pre_steps_log", report)
    assert names(trainer, "pre_steps_log") == ["report", "report_2"]


@pytest.mark.parametrize("point", POINTS)
def test_a_hook_with_the_wrong_signature_is_refused_at_every_point(point):
    trainer = make_trainer(1)
    wrong = OPERATIONS[4 if len(POINTS[point].arguments) < 4 else 1]
    with pytest.raises(InvalidType, match=f"{point!r} calls hook"):
        trainer.register_op(point, wrong)


@pytest.mark.parametrize("point", POINTS)
def test_a_hook_with_the_right_signature_is_accepted_at_every_point(point):
    trainer = make_trainer(1)
    trainer.register_op(point, OPERATIONS[len(POINTS[point].arguments)], name="fits")
    assert "fits" in names(trainer, point)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(InvalidType, match="is a int: expected something that can be called"):
        make_trainer(1).register_op("post_steps", 3, name="three")


def test_further_arguments_are_handed_to_the_operation_and_checked():
    trainer, seen = make_trainer(1), []
    trainer.register_op("post_steps", lambda *, factor: seen.append(factor), factor=3)
    with pytest.raises(InvalidType, match="calls hook\\(\\) with .'facto': 3."):
        trainer.register_op("post_steps", lambda *, factor: None, facto=3)
    trainer.train()
    assert seen == [3]


def test_a_removed_hook_is_not_called_even_if_removed_while_training():
    trainer, seen = make_trainer(3), []

    def leave():
        seen.append(1)
        handle.remove()

    handle = trainer.register_op("post_steps", leave)
    trainer.train()
    handle.remove()
    assert seen == [1]


def test_a_hook_registered_while_training_starts_and_is_called_from_the_next_batch_on():
    class Late(TrainerHookBase):
        seen = ()

        def register(self, trainer, name="late"):
            trainer.register_op("post_steps", self, name=name)
            trainer.register_op("process_optim_batch", self.draw, name=f"{name}.draw")

        def on_train_start(self, trainer):
            self.seen += ("start",)

        def prepare(self, trainer):
            self.seen += ("prepare",)

        def draw(self, batch): ...

        def __call__(self):
            self.seen += (trainer.collected_frames,)

    trainer, late = make_trainer(3, optim_steps_per_batch=1), Late()
    trainer.register_op("batch_process", lambda batch: late.register(trainer), once=True, every=2)
    trainer.train()
    assert late.seen == ("start", "prepare", 30)


def test_a_removed_hook_constrains_nobody_any_more():
    trainer, seen = make_trainer(3), []
    first = trainer.register_op("post_steps", lambda: seen.append("first"), name="first")
    trainer.register_op("post_steps", lambda: seen.append("second"), name="second", after="first")
    trainer.register_op("post_steps_log", lambda batch: first.remove())
    trainer.train()
    assert seen == ["first", "second", "second", "second"]


def test_two_hooks_of_one_class_without_names_keep_their_states_apart():
    class Counts:
        count = 0

        def __call__(self):
            self.count += 1

        def state_dict(self):
            return {"count": self.count}

        def load_state_dict(self, state_dict): ...

    trainer = make_trainer(1)
    trainer.register_op("post_steps", Counts())
    trainer.register_op("post_optim", Counts())
    trainer.train()
    counts = [
        state["count"] for state in trainer.state_dict()["modules"].values() if "count" in state
    ]
    assert sorted(counts) == [1, 2]


def test_a_foreign_object_is_no_hook_because_a_method_is_called_like_one_of_ours():
    class Accelerator:
        def prepare(self, model, optimizer): ...

        def ping(self): ...

    trainer = make_trainer(1)
    trainer.register_op("post_optim", Accelerator().ping)
    trainer.train()
    assert trainer.optim_steps == 2


@pytest.mark.parametrize(
    ("point", "expected"),
    [("pre_steps_log", "a dictionary of metrics"), ("batch_process", "a TensorDict")],
)
def test_what_a_hook_returns_is_checked_against_its_point(point, expected):
    trainer = make_trainer(1)
    trainer.register_op(point, lambda batch: 3.0, name="wrong")
    with pytest.raises(InvalidType, match=f"returned a float: expected {expected}") as info:
        trainer.train()
    assert info.value.__notes__ == [f"raised by hook 'wrong' at {point!r}"]


def test_every_and_every_frames_and_once_reach_the_hook():
    trainer, seen = make_trainer(6), []
    trainer.register_op(
        "post_steps", lambda: seen.append(("every", trainer.collected_frames)), every=4
    )
    trainer.register_op(
        "post_steps", lambda: seen.append(("frames", trainer.collected_frames)), every_frames=25
    )
    trainer.register_op("post_steps", lambda: seen.append(("once", 0)), once=True)
    trainer.train()
    assert seen == [("once", 0), ("frames", 30), ("every", 40), ("frames", 50)]


def test_a_key_that_a_hook_reads_and_that_is_missing_is_named_with_the_nearest():
    class NeedsAdvantage:
        reads = ("observaton",)

        def __call__(self, batch): ...

    trainer = make_trainer(1)
    trainer.register_op("pre_steps_log", NeedsAdvantage(), name="needy")
    with pytest.raises(MissingKey, match="'needy' at 'pre_steps_log' reads .*'observation'"):
        trainer.train()


def test_a_key_that_a_method_declares_to_write_and_does_not_is_named():
    class Forgets:
        @declares(reads=(("next", "reward"),), writes=("advantage",))
        def add(self, batch):
            return batch

    trainer = make_trainer(1)
    trainer.register_op("batch_process", Forgets().add, name="forgets")
    with pytest.raises(MissingKey, match="'forgets' at 'batch_process' declares to write"):
        trainer.train()


def test_keys_are_checked_at_the_first_call_only():
    class Reads:
        reads = ("observation",)
        calls = 0

        def __call__(self, batch):
            self.calls += 1

    hook = Reads()
    trainer = make_trainer([make_batch(), make_batch().exclude("observation")])
    trainer.register_op("pre_steps_log", hook)
    trainer.train()
    assert hook.calls == 2


@pytest.mark.parametrize("point", ["batch_process", "process_optim_batch"])
def test_a_data_hook_that_returns_none_leaves_the_batch_to_the_next(point):
    trainer, seen = make_trainer(1), []
    trainer.register_op(point, lambda batch: batch.clone().fill_("observation", 7.0))
    trainer.register_op(point, lambda batch: None)
    trainer.register_op(point, lambda batch: seen.append(batch["observation"].mean().item()))
    trainer.train()
    assert set(seen) == {7.0}


def test_what_a_post_loss_hook_returns_reaches_post_optim_log():
    trainer, seen = make_trainer(1), []
    trainer.register_op("post_loss", lambda sub_batch: sub_batch[:1])
    trainer.register_op("post_optim_log", lambda sub_batch: seen.append(sub_batch.shape))
    trainer.train()
    assert seen == [torch.Size([1, 5])] * 2
