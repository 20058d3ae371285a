import random

import pytest
import torch
from toys import make_batch, make_trainer

from hookrl.checkpoints import CheckpointStore
from hookrl.checkpoints.disk import Disk
from hookrl.errors import InvalidValue, MissingFile, MissingKey
from hookrl.hooks import CountFramesLog
from hookrl.state import LiveTensor
from hookrl.trainers import checkpointing


@pytest.fixture(params=["torch", "torchsnapshot"])
def path(request, tmp_path, monkeypatch):
    monkeypatch.setenv("CKPT_BACKEND", request.param)
    return tmp_path / ("trainer.pt" if request.param == "torch" else "trainer")


def counting_trainer(batches, path=None, **options):
    trainer = make_trainer(batches, save_trainer_file=path, **options)
    CountFramesLog().register(trainer)
    trainer.register_op("post_steps", lambda: None, name="cadenced", every=4)
    return trainer


def test_a_loaded_trainer_stands_where_the_saved_one_did(path):
    saved = counting_trainer(3, path)
    saved.train()
    loaded = counting_trainer(3).load_from_file(path)
    assert (loaded.collected_frames, loaded.optim_steps) == (30, 6)
    assert loaded.modules["count_frames_log"].frame_count == 30
    assert loaded.hooks.state_dict() == saved.hooks.state_dict()
    assert torch.equal(loaded.loss_module.weight, saved.loss_module.weight)


def test_checkpoints_are_written_when_a_multiple_of_the_interval_is_crossed(path):
    trainer, saves = counting_trainer(6, path, save_trainer_interval=25), []
    trainer.register_op("pre_steps_log", lambda batch: saves.append(path.exists()))
    trainer.train()
    assert saves == [False, False, False, True, True, True]


@pytest.mark.parametrize("disabled", [0, None])
def test_an_interval_of_zero_or_none_saves_at_the_end_only(path, disabled):
    trainer, saves = counting_trainer(3, path, save_trainer_interval=disabled), []
    trainer.register_op("post_steps", lambda: saves.append(path.exists()))
    trainer.train()
    assert saves == [False] * 3
    assert path.exists()


def test_saving_by_force_without_a_place_is_refused():
    with pytest.raises(InvalidValue, match="save_trainer_file"):
        make_trainer(1).save_trainer(True)


def test_loading_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(MissingFile, match="there is no checkpoint"):
        make_trainer(1).load_from_file(tmp_path / "none.pt")


def test_a_trainer_assembled_differently_is_refused_before_anything_changes(path):
    saved = make_trainer([make_batch()], save_trainer_file=path)
    saved.train()
    other = counting_trainer(1)
    weight = other.loss_module.weight.clone()
    with pytest.raises(MissingKey, match=r"lacks 'modules/count_frames_log'"):
        other.load_from_file(path)
    assert other.collected_frames == 0
    assert torch.equal(other.loss_module.weight, weight)


def test_state_of_a_hook_that_was_only_registered_as_operation_is_saved(path):
    trainer = make_trainer(2, save_trainer_file=path)
    trainer.register_op("pre_steps_log", CountFramesLog())
    trainer.train()
    other = make_trainer(1)
    hook = CountFramesLog()
    other.register_op("pre_steps_log", hook)
    other.load_from_file(path)
    assert hook.frame_count == 20


def test_metrics_that_were_not_written_yet_are_part_of_the_state(path):
    trainer = make_trainer(3, save_trainer_file=path, save_trainer_interval=10, log_interval=40)
    states = []
    trainer.register_op("pre_steps_log", lambda batch: {"x": trainer.collected_frames})
    trainer.register_op(
        "post_steps", lambda: states.append(trainer.state_dict()["metrics"]["means"])
    )
    trainer.train()
    assert states[-1]["x"] == [60.0, 3]


def test_a_time_limit_saves_and_ends_in_good_order(path):
    trainer = counting_trainer(5, path, train_time_limit=1e-9)
    trainer.train()
    assert trainer.stop_reason == "the time limit of 1e-09 s was reached"
    assert counting_trainer(5).load_from_file(path).collected_frames == 10


def test_loading_restores_every_part_if_one_refuses(path):
    class Fussy(CountFramesLog):
        def load_state_dict(self, state_dict):
            if state_dict["frame_count"] == 30:
                raise InvalidValue("no thirties")
            super().load_state_dict(state_dict)

    saved = counting_trainer(3, path)
    saved.train()
    other = make_trainer(1)
    Fussy().register(other)
    other.register_op("post_steps", lambda: None, name="cadenced", every=4)
    weight = other.loss_module.weight.clone()
    with pytest.raises(InvalidValue, match="no thirties"):
        other.load_from_file(path)
    assert torch.equal(other.loss_module.weight, weight)
    assert other.collected_frames == 0
    assert not other.modules["optimizer"].optimizer.state


def test_loading_restores_every_part_if_a_generator_refuses():
    saved, other = make_trainer(3), make_trainer(1)
    saved.train()
    state = saved.state_dict()
    state["generators"]["torch"] = torch.zeros(3, dtype=torch.uint8)
    weight = other.loss_module.weight.clone()
    random.seed(1)  # not what was saved
    before = random.getstate()
    with pytest.raises(RuntimeError):
        other.load_state_dict(state)
    assert torch.equal(other.loss_module.weight, weight)
    assert random.getstate() == before
    assert other.collected_frames == 0


@pytest.mark.parametrize("name", ["counters", "generators"])
def test_a_state_that_lacks_something_is_refused_or_taken_as_far_as_it_goes(name):
    saved, other = make_trainer(3), make_trainer(1)
    saved.train()
    state = saved.state_dict()
    del state[name]
    weight = other.loss_module.weight.clone()
    with pytest.raises(MissingKey, match=f"it lacks '{name}'"):
        other.load_state_dict(state)
    assert torch.equal(other.loss_module.weight, weight)
    with pytest.warns(UserWarning, match=f"it lacks '{name}'"):
        other.load_state_dict(state, strict=False)
    assert torch.equal(other.loss_module.weight, saved.loss_module.weight)
    assert other.collected_frames == (0 if name == "counters" else 30)


def test_a_state_that_lacks_a_counter_is_refused():
    state = make_trainer(1).state_dict()
    del state["counters"]["last_save"]
    with pytest.raises(MissingKey, match="it lacks 'counters/last_save'"):
        make_trainer(1).load_state_dict(state)


def test_without_strict_what_fits_is_taken_and_the_rest_named(path):
    saved = make_trainer(3, save_trainer_file=path)
    saved.train()
    other = counting_trainer(1)
    with pytest.warns(UserWarning, match="lacks 'modules/count_frames_log'"):
        other.load_from_file(path, strict=False)
    assert torch.equal(other.loss_module.weight, saved.loss_module.weight)


def test_weights_of_another_shape_are_listed_before_anything_changes(path):
    saved = make_trainer(1, save_trainer_file=path)
    saved.train()
    other = make_trainer(1)
    other.loss_module.weight = torch.nn.Parameter(torch.zeros(7))
    with pytest.raises(MissingKey, match=r"'loss_module/weight' is float32 .*, expected .*\[7\]"):
        other.load_from_file(path)
    assert other.collected_frames == 0


def test_a_store_keeps_checkpoints_by_frame(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", max_checkpoints=2)
    counting_trainer(5, checkpoints=store, save_trainer_interval=10).train()
    assert store.frames() == [40, 50]
    loaded = counting_trainer(1).load_from_file(tmp_path / "checkpoints")
    assert loaded.collected_frames == 50


def test_a_checkpoint_says_what_it_is_without_being_read(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    trainer = counting_trainer(2, checkpoints=store)
    trainer.register_op("post_steps_log", lambda batch: {"a": 3.0})
    trainer.train()
    about = store.versions.manifest(20).about
    assert (about["frames"], about["optim_steps"], about["metrics"]["a"]) == (20, 4, 3.0)
    assert about["exact_resume"] == "impossible"
    assert about["machine"]["versions"]["torch"] == torch.__version__


def test_what_is_saved_in_the_background_is_the_state_of_that_moment(path):
    trainer = counting_trainer(4, path, save_trainer_interval=10, save_in_background=True)
    weights = []
    trainer.register_op("post_steps", lambda: weights.append(trainer.loss_module.weight.clone()))
    trainer.train()
    other = counting_trainer(1)
    other.register_op("post_steps", lambda: None, name="<lambda>")
    assert torch.equal(other.load_from_file(path).loss_module.weight, weights[-1])


@pytest.mark.parametrize("background", [False, True], ids=["at once", "in the background"])
def test_a_checkpoint_that_cannot_be_written_ends_training(background, path, monkeypatch):
    trainer = counting_trainer(4, path, save_trainer_interval=10, save_in_background=background)
    monkeypatch.setattr(Disk, "sync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        trainer.train()
    assert trainer.collected_frames <= 20


@pytest.mark.parametrize("background", [False, True], ids=["at once", "in the background"])
def test_a_checkpoint_that_cannot_be_written_may_be_a_warning(background, path, monkeypatch):
    trainer = counting_trainer(
        4,
        path,
        save_trainer_interval=10,
        save_in_background=background,
        save_errors="warn",
    )
    monkeypatch.setattr(Disk, "sync", full_disk)
    with pytest.warns(UserWarning, match="a checkpoint was not written, training goes on"):
        trainer.train()
    assert trainer.collected_frames == 40


class Large:
    """A hook with a state that is handed out live."""

    def __init__(self, exact_resume="exact"):
        self.exact_resume = exact_resume
        self.number = torch.zeros(3)
        self.live = []

    def register(self, trainer, name="large"):
        trainer.register_op("pre_steps_log", self.count, name=name)
        trainer.register_module(name, self)

    def count(self, batch):
        self.number += 1

    def state_dict(self):
        return {"number": self.number.clone()}

    def load_state_dict(self, state):
        self.number.copy_(state["number"])

    def live_state_dict(self):
        self.live.append(Pieces(self.number))
        return {"number": self.live[-1]}


class Pieces(LiveTensor):
    def __init__(self, tensor):
        self.dtype, self.shape = tensor.dtype, tuple(tensor.shape)
        self.content = tensor.numpy().tobytes()
        self.released = False

    def pieces(self):
        yield memoryview(self.content[:5])
        yield memoryview(self.content[5:])

    def release(self):
        self.released = True


@pytest.mark.parametrize("background", [False, True], ids=["at once", "in the background"])
def test_what_is_live_is_read_while_it_is_written(background, path):
    hook = Large()
    trainer = counting_trainer(4, path, save_trainer_interval=30, save_in_background=background)
    hook.register(trainer)
    trainer.train()
    assert len(hook.live) == 2
    assert all(tensor.released for tensor in hook.live)
    loaded = counting_trainer(1)
    Large().register(loaded)
    assert loaded.load_from_file(path).modules["large"].number.tolist() == [4, 4, 4]


def test_what_is_live_is_released_if_it_cannot_be_written(path, monkeypatch):
    hook, trainer = Large(), counting_trainer(1, path)
    hook.register(trainer)
    monkeypatch.setattr(Disk, "sync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        trainer.save_trainer(True)
    assert hook.live[0].released


def test_what_checkpoints_leave_out_is_a_warning_or_refused(path):
    trainer = counting_trainer(1, path)
    Large("impossible").register(trainer)
    assert trainer.resume_kind == "impossible"
    with pytest.warns(UserWarning, match="checkpoints leave out something of 'large'"):
        trainer.train()
    trainer.exact_resume = "require"
    with pytest.raises(InvalidValue, match="exact_resume='require' with 'large', of which"):
        trainer.train()


def test_exact_resume_cannot_be_required_of_a_plain_iterable():
    with pytest.raises(InvalidValue, match="exact_resume='require' with a ListCollector"):
        make_trainer(1, exact_resume="require")


def test_two_places_for_checkpoints_are_refused(tmp_path):
    with pytest.raises(InvalidValue, match="at most one place"):
        make_trainer(1, save_trainer_file="a.pt", checkpoints=CheckpointStore(tmp_path))


@pytest.mark.parametrize("choice", ["exact_resume", "save_errors"])
def test_unknown_choices_are_answered_with_the_nearest(choice):
    with pytest.raises(InvalidValue, match=f"{choice}='rquire'.*expected one of"):
        make_trainer(1, **{choice: "rquire"})


def test_another_machine_is_a_warning_or_an_error(path, monkeypatch):
    counting_trainer(1, path).train()
    monkeypatch.setattr(checkpointing, "describe_machine", lambda: {"cpu": "another"})
    with pytest.warns(UserWarning, match="cpu: .* → another"):
        counting_trainer(1).load_from_file(path).train()
    required = counting_trainer(1).load_from_file(path)
    required.exact_resume = "require"
    with pytest.raises(InvalidValue, match="cpu: .* → another"):
        required.train()


def full_disk(*_):
    raise OSError(28, "No space left on device")
