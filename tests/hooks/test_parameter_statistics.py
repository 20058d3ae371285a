import pytest
import torch
from tensordict import TensorDict
from toys import make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import OptimizerHook, ParameterStatistics


class TwoParameters(torch.nn.Module):
    """Its loss has the gradients (3, 4) and 12, whatever the parameters."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor([0.6, 0.0]))
        self.b = torch.nn.Parameter(torch.tensor(0.0))
        self.frozen = torch.nn.Parameter(torch.tensor(100.0), requires_grad=False)

    def forward(self, tensordict):
        slope = torch.tensor([3.0, 4.0])
        return TensorDict({"loss_x": (self.a * slope).sum() + 12 * self.b}, batch_size=[])


def rows(batches, interval, per_parameter=False, **options):
    loss = TwoParameters()
    trainer = make_trainer(
        batches, loss_module=loss, with_optimizer=False, optim_steps_per_batch=1, **options
    )
    OptimizerHook(torch.optim.SGD(loss.parameters(), lr=0.1)).register(trainer)
    ParameterStatistics(loss, interval, per_parameter=per_parameter).register(trainer)
    trainer.train()
    return trainer.logger.rows


def test_norms_are_those_of_all_parameters_together():
    ((_, row),) = rows(1, 10)
    assert row["train/gradient_norm"] == pytest.approx(13.0)
    # after the step: a = (0.6 - 0.3, -0.4), b = -1.2
    assert row["train/parameter_norm"] == pytest.approx((0.3**2 + 0.4**2 + 1.2**2) ** 0.5)


def test_each_parameter_can_be_reported():
    ((_, row),) = rows(1, 10, per_parameter=True)
    assert row["train/gradient_norm/a"] == pytest.approx(5.0)
    assert row["train/parameter_norm/b"] == pytest.approx(1.2)
    assert not any("frozen" in name for name in row)


def test_gradients_are_measured_before_they_are_clipped():
    ((_, row),) = rows(1, 10, clip_norm=0.1)
    assert row["train/gradient_norm"] == pytest.approx(13.0)


def test_a_report_comes_when_the_frames_are_reached():
    assert [frames for frames, _ in rows(5, 20)] == [20, 40]


def test_values_stay_tensors_until_they_are_written(monkeypatch):
    loss, reports = TwoParameters(), []
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False)
    OptimizerHook(torch.optim.SGD(loss.parameters(), lr=0.1)).register(trainer)
    ParameterStatistics(loss, 1).register(trainer)
    monkeypatch.setattr(trainer, "log", reports.append)
    trainer.train()
    (report,) = reports  # of the first step of two
    assert all(isinstance(value, torch.Tensor) for value in report.values())


def test_an_interval_below_one_is_refused():
    with pytest.raises(InvalidValue, match="interval=0"):
        ParameterStatistics(TwoParameters(), 0)


def test_a_module_without_parameters_is_refused():
    with pytest.raises(InvalidValue, match="ReLU .* has no parameters"):
        ParameterStatistics(torch.nn.ReLU(), 1)
