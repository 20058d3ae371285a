import pytest
import torch
from tensordict import TensorDict
from toys import QuadraticLoss, make_trainer

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import GradientAccumulation, OptimizerHook, ScaledOptimizerHook


class Slopes(torch.nn.Module):
    """A loss whose gradient is the next number of a list."""

    def __init__(self, *slopes):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.0))
        self.slopes = iter(slopes)

    def forward(self, tensordict):
        return TensorDict({"loss_x": self.weight * next(self.slopes)}, batch_size=[])


def accumulating(slopes, steps, *, batches=1, kind=OptimizerHook, **options):
    loss = Slopes(*slopes)
    trainer = make_trainer(
        batches,
        loss_module=loss,
        with_optimizer=False,
        optim_steps_per_batch=len(slopes) // batches,
        **options,
    )
    hook = kind(torch.optim.SGD(loss.parameters(), lr=1.0))
    GradientAccumulation(hook, steps).register(trainer)
    weights = []
    trainer.register_op("post_optim", lambda: weights.append(loss.weight.item()))
    return trainer, weights


@pytest.mark.parametrize("kind", [OptimizerHook, ScaledOptimizerHook])
def test_a_step_takes_the_mean_gradient_of_its_window(kind):
    trainer, weights = accumulating([1.0, 3.0, 10.0, 20.0], 2, kind=kind)
    trainer.train()
    assert weights == pytest.approx([0.0, -2.0, -2.0, -17.0])


def test_one_pass_per_step_is_what_happens_without():
    trainer, weights = accumulating([1.0, 2.0], 1)
    trainer.train()
    assert weights == [-1.0, -3.0]


def test_the_norm_of_the_whole_window_is_clipped():
    trainer, weights = accumulating([6.0, 2.0], 2, clip_norm=0.5)
    trainer.train()
    assert weights == pytest.approx([0.0, -0.5])
    assert trainer.losses["grad_norm"].item() == pytest.approx(4.0)


def test_the_logged_loss_is_not_divided():
    loss = QuadraticLoss(3.0)
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False)
    hook = OptimizerHook(torch.optim.SGD(loss.parameters(), lr=0.1))
    GradientAccumulation(hook, 2).register(trainer)
    trainer.train()
    assert trainer.losses["loss_value"].item() == 9.0


def test_a_window_spans_batches():
    trainer, weights = accumulating([1.0, 3.0], 2, batches=2)
    trainer.train()
    assert weights == [0.0, -2.0]


def test_a_window_that_a_checkpoint_interrupts_is_completed_after_it():
    before, _ = accumulating([1.0], 2)
    before.train()
    after, weights = accumulating([3.0], 2)
    after.load_state_dict(decode(*encode(before.state_dict())))
    after.train()
    assert weights == [-2.0]


def test_the_wrapped_hook_is_no_module_of_its_own():
    trainer, _ = accumulating([1.0], 2)
    trainer.train()
    assert list(trainer.modules) == ["optimizer"]


def test_another_kind_of_hook_is_refused():
    with pytest.raises(InvalidType, match="received a SGD: expected an OptimizerHook"):
        GradientAccumulation(torch.optim.SGD(QuadraticLoss().parameters(), lr=0.1), 2)


def test_fewer_than_one_pass_is_refused():
    with pytest.raises(InvalidValue, match="steps=0"):
        GradientAccumulation(OptimizerHook(torch.optim.SGD(QuadraticLoss().parameters())), 0)


def test_gradients_of_other_parameters_are_refused_before_anything_changes():
    def hook(size):
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(size))])
        return GradientAccumulation(OptimizerHook(optimizer), 2)

    state = hook(3).state_dict()
    state["gradients"] = [torch.ones(3)]
    other = hook(2)
    with pytest.raises(InvalidValue, match="expected the same parameters"):
        other.load_state_dict(state)
    with pytest.raises(InvalidValue, match="2 gradients"):
        other.load_state_dict({**state, "gradients": [None, None]})
