import pytest
import torch
from tensordict import TensorDict
from toys import make_batch, make_trainer

from hookrl.errors import InvalidValue, MissingKey
from hookrl.hooks import LogScalar
from hookrl.trainers.metrics import RunningMeans

VALUES = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]).unsqueeze(-1)
MASK = torch.tensor([[True, False, True], [False, True, False]])


def batch_of(values=VALUES, mask=None):
    size = values.shape[:2]
    batch = TensorDict({"next": TensorDict({"reward": values}, size)}, batch_size=size)
    if mask is not None:
        batch["collector", "mask"] = mask
    return batch


@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", 10.5), ("sum", 63.0), ("min", 1.0), ("max", 32.0)]
)
def test_the_entry_is_reduced_over_the_whole_batch(reduction, expected):
    metrics = LogScalar(logname="r", reduction=reduction)(batch_of())
    assert metrics["r"].item() == expected


@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", 7.0), ("sum", 21.0), ("min", 1.0), ("max", 16.0)]
)
def test_frames_that_are_masked_out_do_not_count(reduction, expected):
    metrics = LogScalar(logname="r", reduction=reduction)(batch_of(mask=MASK))
    assert metrics["r"].item() == expected


def test_the_standard_deviation_is_logged_beside_it():
    metrics = LogScalar(logname="r")(batch_of())
    assert metrics["r_std"].item() == pytest.approx(VALUES.std().item())


def test_the_standard_deviation_is_that_of_the_valid_frames():
    metrics = LogScalar(logname="r")(batch_of(mask=MASK))
    assert metrics["r_std"].item() == pytest.approx(torch.tensor([1.0, 4.0, 16.0]).std().item())


def test_the_standard_deviation_is_left_out_on_request():
    assert set(LogScalar(logname="r", include_std=False)(batch_of())) == {"r", "log_pbar"}


def test_a_single_frame_has_no_standard_deviation():
    assert "r_std" not in LogScalar(logname="r")(batch_of(VALUES[:1, :1]))


@pytest.mark.parametrize(
    ("key", "name"),
    [("reward", "reward"), (("next", "reward"), "next/reward"), (("a", "b", "c"), "a/b/c")],
)
def test_the_default_name_is_made_from_the_key(key, name):
    assert LogScalar(key).logname == name


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_entries_of_any_dtype_are_averaged_as_numbers(dtype):
    values = torch.tensor([[1, 0, 0, 1]], dtype=dtype).unsqueeze(-1)
    assert LogScalar(logname="r")(batch_of(values))["r"].item() == 0.5


def test_metrics_stay_tensors_so_that_no_device_is_waited_for(monkeypatch):
    def refuse(*args):
        raise AssertionError("a number was read from a tensor")

    for read in ("item", "tolist", "__float__", "__bool__", "__int__"):
        monkeypatch.setattr(torch.Tensor, read, refuse)
    metrics = LogScalar(logname="r")(batch_of())
    assert isinstance(metrics["r"], torch.Tensor)
    assert isinstance(metrics["r_std"], torch.Tensor)


@pytest.mark.parametrize("reduction", ["mean", "sum", "min", "max"])
def test_a_batch_without_a_valid_frame_reports_nothing(reduction):
    hook = LogScalar(reduction=reduction)
    assert hook(batch_of(mask=torch.zeros_like(MASK))) is None


@pytest.mark.parametrize("shown", [True, False])
def test_log_pbar_says_whether_it_shows_on_the_progress_bar(shown):
    trainer = make_trainer(1)
    LogScalar(logname="r", log_pbar=shown).register(trainer)
    trainer.train()
    assert ("r" in trainer.progress) == shown


def test_a_misspelt_reduction_is_answered_with_the_nearest():
    with pytest.raises(InvalidValue, match=r"reduction='maen' .*did you mean 'mean'.*min, max"):
        LogScalar(reduction="maen")


def test_a_key_that_the_batch_lacks_is_answered_with_the_nearest():
    trainer = make_trainer(1)
    LogScalar(("next", "rewards"), "r").register(trainer)
    with pytest.raises(
        MissingKey, match=r"'log_r' at 'pre_steps_log' reads .*did you mean .*reward"
    ):
        trainer.train()


def test_several_register_side_by_side_under_the_names_they_log():
    trainer = make_trainer([make_batch()])
    LogScalar(("next", "reward"), include_std=False).register(trainer)
    LogScalar("observation", include_std=False).register(trainer)
    trainer.train()
    assert trainer.logger.rows == [(10, {"next/reward": 1.0, "observation": 0.0})]


def test_batches_between_two_rows_are_averaged():
    running = RunningMeans()
    hook = LogScalar(logname="r", include_std=False)
    for value in (1.0, 3.0):
        running.add({"r": hook(batch_of(torch.full((1, 2, 1), value)))["r"]})
    assert running.numbers() == {"r": 2.0}
