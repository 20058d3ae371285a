import pytest
import torch
from toys import make_batch, make_trainer

from hookrl.errors import InvalidValue, MissingFile, MissingKey
from hookrl.hooks import CountFramesLog


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
    with pytest.raises(MissingKey, match=r"lacks 'count_frames_log'"):
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
    assert states[-1] == {"x": [60.0, 3]}
