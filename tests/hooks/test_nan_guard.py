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
