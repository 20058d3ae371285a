import pytest
import torch
from tensordict import TensorDict
from toys import QuadraticLoss, make_trainer

from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import OptimizerHook


class TwoLosses(torch.nn.Module):
    """Two parameters, each with a loss that reads both."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(1.0))
        self.b = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, tensordict):
        return TensorDict(
            {
                "loss_a": self.a**2 * self.b.detach(),
                "loss_b": self.b**2 * self.a.detach(),
                "entropy": self.a.detach(),
            },
            batch_size=[],
        )


def sgd(*parameters, lr=0.1):
    return torch.optim.SGD(parameters, lr=lr)


def test_the_optimizer_minimises_the_sum_of_all_losses():
    loss = TwoLosses()
    trainer = make_trainer(1, loss_module=loss, optim_steps_per_batch=1)
    trainer.train()
    assert loss.a.item() == pytest.approx(1.0 - 0.1 * 2 * 1 * 2)
    assert loss.b.item() == pytest.approx(2.0 - 0.1 * 2 * 2 * 1)


def test_with_components_each_optimizer_minimises_only_its_own():
    loss = TwoLosses()
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False, optim_steps_per_batch=1)
    OptimizerHook(sgd(loss.a), ["loss_a"]).register(trainer, "first")
    trainer.train()
    assert loss.a.item() == pytest.approx(0.6)
    assert loss.b.item() == 2.0


def test_all_backward_passes_run_before_any_optimizer_steps():
    # loss_b saves a for its backward pass; had the first optimizer stepped already, autograd
    # would refuse, or the gradient would be that of the new a.
    class Product(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.tensor(3.0))
            self.b = torch.nn.Parameter(torch.tensor(5.0))

        def forward(self, tensordict):
            return TensorDict({"loss_a": self.a * 7.0, "loss_b": self.a * self.b}, batch_size=[])

    loss = Product()
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False, optim_steps_per_batch=1)
    OptimizerHook(sgd(loss.a, lr=1.0), ["loss_a"]).register(trainer, "first")
    OptimizerHook(sgd(loss.b, lr=1.0), ["loss_b"]).register(trainer, "second")
    trainer.train()
    assert loss.b.item() == 5.0 - 3.0


def test_clipping_by_norm_scales_the_whole_gradient():
    loss = QuadraticLoss(10.0)
    trainer = make_trainer(1, loss_module=loss, clip_norm=0.5, optim_steps_per_batch=1)
    trainer.train()
    assert loss.weight.item() == pytest.approx(10.0 - 0.1 * 0.5)


def test_clipping_by_value_clamps_each_derivative():
    loss = TwoLosses()
    trainer = make_trainer(
        1, loss_module=loss, clip_norm=0.5, clip_grad_norm=False, optim_steps_per_batch=1
    )
    trainer.train()
    assert loss.a.item() == pytest.approx(1.0 - 0.1 * 0.5)
    assert loss.b.item() == pytest.approx(2.0 - 0.1 * 0.5)


def test_without_a_bound_nothing_is_clipped():
    loss = QuadraticLoss(10.0)
    make_trainer(1, loss_module=loss, optim_steps_per_batch=1).train()
    assert loss.weight.item() == pytest.approx(10.0 - 0.1 * 20.0)


def test_gradients_do_not_accumulate_over_steps():
    loss = QuadraticLoss(1.0)
    make_trainer(1, loss_module=loss, optim_steps_per_batch=3).train()
    assert loss.weight.item() == pytest.approx(0.8**3)


def test_the_gradient_norm_before_clipping_is_among_the_losses():
    trainer = make_trainer(1, loss_module=QuadraticLoss(10.0), clip_norm=0.5)
    trainer.train()
    assert trainer.losses["grad_norm"].item() == pytest.approx(2 * trainer_weight_before(trainer))


def trainer_weight_before(trainer):
    """The weight before the last step, which moved it by 0.1 times the clipped gradient."""
    return trainer.loss_module.weight.item() + 0.1 * 0.5


def test_losses_are_detached_once_the_optimizer_ran():
    trainer = make_trainer(1)
    trainer.train()
    assert not trainer.losses["loss_value"].requires_grad


def test_a_component_that_does_not_exist_is_named_with_the_nearest():
    trainer = make_trainer(1, with_optimizer=False)
    OptimizerHook(sgd(trainer.loss_module.weight), ["loss_vale"]).register(trainer)
    with pytest.raises(MissingKey, match="'loss_vale' .*did you mean 'loss_value'"):
        trainer.train()


def test_losses_without_the_prefix_are_refused():
    trainer = make_trainer(1)
    trainer.loss_module = lambda sub_batch: TensorDict({"objective": torch.ones(())}, [])
    with pytest.raises(MissingKey, match="no entry of the losses is 'loss' or starts with 'loss_'"):
        trainer.train()


def test_a_loss_that_is_not_reduced_is_refused():
    trainer = make_trainer(1)
    weight = trainer.loss_module.weight
    trainer.loss_module = lambda sub_batch: TensorDict({"loss_x": weight * torch.ones(4)}, [])
    with pytest.raises(InvalidType, match=r"shape \(4,\): expected scalars"):
        trainer.train()


def test_an_empty_list_of_components_is_refused():
    with pytest.raises(InvalidValue, match="loss_components"):
        OptimizerHook(sgd(torch.nn.Parameter(torch.ones(1))), [])


def test_the_state_of_the_optimizer_is_part_of_the_trainers():
    loss = QuadraticLoss()
    optimizer = torch.optim.Adam(loss.parameters())
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False)
    OptimizerHook(optimizer).register(trainer)
    trainer.train()
    state = trainer.state_dict()["modules"]["optimizer"]
    assert state["state"][0]["step"].item() == 2


def test_two_optimizers_may_share_a_trunk():
    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = torch.nn.Parameter(torch.tensor(2.0))
            self.a = torch.nn.Parameter(torch.tensor(3.0))
            self.b = torch.nn.Parameter(torch.tensor(5.0))

        def forward(self, tensordict):
            features = self.trunk**2
            return TensorDict({"loss_a": features * self.a, "loss_b": features * self.b}, [])

    loss = Shared()
    trainer = make_trainer(1, loss_module=loss, with_optimizer=False, optim_steps_per_batch=1)
    OptimizerHook(sgd(loss.a, loss.trunk), ["loss_a"]).register(trainer, "first")
    OptimizerHook(sgd(loss.b), ["loss_b"]).register(trainer, "second")
    trainer.train()
    assert loss.a.item() == pytest.approx(3.0 - 0.1 * 4)
    assert loss.b.item() == pytest.approx(5.0 - 0.1 * 4)
    assert loss.trunk.item() == pytest.approx(2.0 - 0.1 * (2 * 2 * 3 + 2 * 2 * 5))


def test_a_loss_module_may_give_a_locked_tensordict():
    trainer = make_trainer(1, clip_norm=1.0)
    weight = trainer.loss_module.weight
    trainer.loss_module = lambda sub: TensorDict({"loss_x": weight**2}, []).lock_()
    trainer.train()
    assert trainer.optim_steps == 2
