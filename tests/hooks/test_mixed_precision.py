import copy
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict
from toys import QuadraticLoss, make_trainer

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import MixedPrecision, OptimizerHook, ScaledOptimizerHook


class Linear(torch.nn.Module):
    """A matrix product, which autocast runs in half precision; remembers in which it was."""

    in_keys = ("observation",)

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, tensordict):
        value = self.layer(tensordict["observation"] + 1.0)
        self.dtype = value.dtype
        return TensorDict({"loss_value": value.mean(), "steps": torch.tensor(3)}, batch_size=[])


def scaled(value=1.0, batches=1, *, scale=1024.0, steps=1, **options):
    """A trainer with one weight whose loss is the weight's square."""
    loss = QuadraticLoss(value)
    trainer = make_trainer(
        batches, loss_module=loss, with_optimizer=False, optim_steps_per_batch=steps, **options
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    hook = ScaledOptimizerHook(torch.optim.SGD(loss.parameters(), lr=0.1), scaler=scaler)
    hook.register(trainer)
    return trainer, hook


def test_the_forward_pass_runs_in_half_precision():
    loss = Linear()
    trainer = make_trainer(1, loss_module=loss)
    trainer.loss_module = MixedPrecision(loss)
    trainer.train()
    assert loss.dtype == torch.bfloat16


def test_losses_are_returned_in_float32_and_counts_as_they_are():
    losses = MixedPrecision(Linear())(make_trainer(1).collector.batches[0])
    assert losses["loss_value"].dtype == torch.float32
    assert losses["steps"].dtype == torch.int64


def test_everything_else_is_that_of_the_loss_module():
    loss = Linear()
    wrapped = MixedPrecision(loss)
    assert wrapped.in_keys == ("observation",)
    assert list(wrapped.parameters()) == list(loss.parameters())
    assert copy.deepcopy(wrapped).in_keys == ("observation",)
    with pytest.raises(AttributeError, match="unknown"):
        _ = wrapped.unknown


def test_a_checkpoint_loads_with_and_without_mixed_precision():
    one, other = Linear(), Linear()
    MixedPrecision(other).load_state_dict(MixedPrecision(one).state_dict())
    assert torch.equal(one.layer.weight, other.layer.weight)
    one.load_state_dict(MixedPrecision(other).state_dict())


def test_another_precision_is_refused():
    with pytest.raises(InvalidValue, match=r"dtype=torch.float64"):
        MixedPrecision(Linear(), torch.float64)


def test_a_loss_that_cannot_be_called_is_refused():
    with pytest.raises(InvalidType, match="loss_module of MixedPrecision is a dict"):
        MixedPrecision({})


def test_scaling_changes_no_step():
    trainer, _ = scaled(2.0, steps=3)
    trainer.train()
    assert trainer.loss_module.weight.item() == pytest.approx(2.0 * 0.8**3)


def test_the_logged_loss_is_not_scaled():
    trainer, _ = scaled(2.0)
    trainer.train()
    assert trainer.losses["loss_value"].item() == 4.0


def test_gradients_are_clipped_by_their_true_size():
    trainer, _ = scaled(10.0, clip_norm=0.5)
    trainer.train()
    assert trainer.loss_module.weight.item() == pytest.approx(10.0 - 0.1 * 0.5)
    assert trainer.losses["grad_norm"].item() == pytest.approx(20.0)


def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_lowered():
    trainer, hook = scaled(1e10, scale=2.0**120)
    trainer.train()
    assert trainer.loss_module.weight.item() == pytest.approx(1e10)
    assert hook.scaler.get_scale() == 2.0**119


def test_the_scale_survives_a_checkpoint():
    trainer, hook = scaled(1e10, scale=2.0**120)
    trainer.train()
    _, other = scaled()
    other.load_state_dict(decode(*encode(hook.state_dict())))
    assert other.scaler.get_scale() == 2.0**119


def test_a_disabled_scaler_makes_it_a_plain_optimizer_hook():
    loss = QuadraticLoss(2.0)
    hook = ScaledOptimizerHook(
        torch.optim.SGD(loss.parameters(), lr=0.1),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
    )
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False, optim_steps_per_batch=1)
    hook.register(trainer)
    trainer.train()
    assert loss.weight.item() == pytest.approx(1.6)
    hook.load_state_dict(hook.state_dict())


def test_two_optimizers_step_behind_both_backward_passes():
    class Product(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.tensor(3.0))
            self.b = torch.nn.Parameter(torch.tensor(5.0))

        def forward(self, tensordict):
            return TensorDict({"loss_a": self.a * 7.0, "loss_b": self.a * self.b}, batch_size=[])

    loss = Product()
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False, optim_steps_per_batch=1)
    for name, kind in (("a", ScaledOptimizerHook), ("b", OptimizerHook)):
        optimizer = torch.optim.SGD([getattr(loss, name)], lr=1.0)
        kind(optimizer, [f"loss_{name}"]).register(trainer, name)
    trainer.train()
    assert loss.b.item() == 5.0 - 3.0


def test_a_state_of_a_plain_hook_is_refused():
    plain = OptimizerHook(torch.optim.SGD(QuadraticLoss().parameters(), lr=0.1))
    _, hook = scaled()
    with pytest.raises(MissingKey, match="ScaledOptimizerHook lacks 'optimizer', 'scaler'"):
        hook.load_state_dict(plain.state_dict())


def test_a_loss_that_is_no_tensordict_is_left_to_the_trainer_to_refuse():
    trainer = make_trainer(1)
    trainer.loss_module = MixedPrecision(lambda sub_batch: SimpleNamespace())
    with pytest.raises(InvalidType, match="loss_module returned a SimpleNamespace"):
        trainer.train()
