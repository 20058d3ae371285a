import math

import pytest
import torch
from tensordict import TensorDict
from toys import make_trainer

from hookrl.hooks import NaNGuard, NonFiniteLoss


def trainer_with_loss(value):
    trainer = make_trainer(2)
    weight = trainer.loss_module.weight
    trainer.loss_module = lambda sub_batch: TensorDict(
        {"loss_good": weight * 1.0, "loss_bad": weight * value, "entropy": torch.tensor(math.nan)},
        batch_size=[],
    )
    NaNGuard().register(trainer)
    return trainer, weight


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_optimizer_steps(value):
    trainer, weight = trainer_with_loss(value)
    with pytest.raises(NonFiniteLoss, match=r"^loss_bad is .* after 0 optimizer steps") as info:
        trainer.train()
    assert weight.item() == 1.0
    assert isinstance(info.value, FloatingPointError)
    assert "\n" not in str(info.value)


def test_finite_losses_pass_whatever_else_is_among_the_entries():
    trainer, _ = trainer_with_loss(1.0)
    trainer.train()
    assert trainer.optim_steps == 4


@pytest.mark.parametrize(
    ("losses", "named"),
    [
        ({"loss_a": torch.tensor(math.inf), "loss_b": torch.tensor(-math.inf)}, "loss_a is inf"),
        ({"loss_a": torch.tensor(1.0), "loss_b": torch.tensor([1.0, math.nan])}, "loss_b is nan"),
        ({"loss": torch.tensor([math.inf, -math.inf])}, "loss is nan"),
    ],
    ids=["opposite infinities", "one by element", "opposite ones by element"],
)
def test_sums_hide_nothing(losses, named):
    with pytest.raises(NonFiniteLoss, match=f"^{named}"):
        NaNGuard()(TensorDict(losses, batch_size=[]), True, None, 0)
    assert not NaNGuard.permits(TensorDict(losses, batch_size=[]))


def test_losses_whose_sum_a_float32_cannot_hold_pass_eager_and_captured():
    """Each of them and all gradients are finite; what one of both refuses, the other must."""
    huge = torch.tensor(3e38)
    losses = TensorDict({"loss_a": huge, "loss_b": huge, "loss_c": -huge}, batch_size=[])
    assert NaNGuard.permits(losses)
    assert NaNGuard()(losses, True, None, 0) is None


def test_elements_whose_sum_a_float32_cannot_hold_pass_eager_and_captured():
    losses = TensorDict({"loss": torch.tensor([3e38, 3e38])}, batch_size=[])
    assert NaNGuard.permits(losses)
    assert NaNGuard()(losses, True, None, 0) is None


def test_without_losses_there_is_nothing_to_refuse():
    nothing = TensorDict({"entropy": torch.tensor(math.nan)}, batch_size=[])
    assert NaNGuard.permits(nothing)
    assert NaNGuard()(nothing, True, None, 0) is None


def test_finite_losses_by_element_are_permitted():
    losses = TensorDict({"loss_a": torch.ones(3), "loss_b": torch.ones(())}, batch_size=[])
    assert NaNGuard.permits(losses)
    assert NaNGuard()(losses, True, None, 0) is None
