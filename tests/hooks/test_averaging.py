import pytest
import torch
from toys import QuadraticLoss, make_trainer

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import ExponentialMovingAverage


def averaged(batches=2, decay=0.75, every=1):
    """A weight that each step multiplies by 0.8, and its average."""
    trainer = make_trainer(batches, optim_steps_per_batch=1)
    hook = ExponentialMovingAverage(trainer.loss_module, decay, every=every)
    hook.register(trainer)
    trainer.train()
    return trainer, hook


def test_the_average_follows_the_weights_by_the_decay():
    _, hook = averaged(2)
    first = 0.75 * 1.0 + 0.25 * 0.8
    assert hook.average["weight"].item() == pytest.approx(0.75 * first + 0.25 * 0.64)


def test_updates_come_every_so_many_steps():
    _, hook = averaged(3, every=2)
    assert hook.average["weight"].item() == pytest.approx(0.75 * 1.0 + 0.25 * 0.64)


def test_inside_the_block_the_network_is_the_average_and_afterwards_itself_again():
    trainer, hook = averaged()
    weight = trainer.loss_module.weight
    view, before = weight.detach().numpy(), weight.item()
    with hook.applied():
        assert weight.item() == hook.average["weight"].item() == view
    assert weight.item() == before == view


def test_an_exception_in_the_block_brings_the_weights_back():
    trainer, hook = averaged()
    before = trainer.loss_module.weight.item()
    with pytest.raises(ZeroDivisionError), hook.applied():
        raise ZeroDivisionError
    assert trainer.loss_module.weight.item() == before


def test_learning_does_not_notice():
    trainer, _ = averaged(3)
    assert trainer.loss_module.weight.item() == pytest.approx(0.8**3)


def test_a_checkpoint_holds_the_average():
    _, hook = averaged()
    other = ExponentialMovingAverage(QuadraticLoss(), 0.5)
    other.load_state_dict(decode(*encode(hook.state_dict())))
    assert torch.equal(other.average["weight"], hook.average["weight"])


def test_a_state_of_another_network_is_refused():
    hook = ExponentialMovingAverage(QuadraticLoss(), 0.5)
    with pytest.raises(MissingKey, match="ExponentialMovingAverage lacks 'weight'"):
        hook.load_state_dict({"bias": torch.zeros(())})
    with pytest.raises(InvalidValue, match=r"shape \(2,\): expected \(\)"):
        hook.load_state_dict({"weight": torch.zeros(2)})


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(InvalidValue, match="decay="):
        ExponentialMovingAverage(QuadraticLoss(), decay)


def test_something_without_parameters_is_refused():
    with pytest.raises(InvalidType, match="without parameters"):
        ExponentialMovingAverage(object(), 0.5)
