import copy

import pytest
import torch
from tensordict import TensorDict
from toys import QuadraticLoss, make_trainer

from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import TargetNetUpdaterHook, TargetUpdate


class Moving(torch.nn.Module):
    """One parameter and one buffer, which the test moves by hand."""

    def __init__(self, value=0.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((2,), value))
        self.register_buffer("seen", torch.tensor(0))


def updated(steps, **options):
    """The target's weight after each optimization step, the source being 1 more at each."""
    trainer = make_trainer(steps, optim_steps_per_batch=1)
    source, target, seen = Moving(), Moving(), []
    TargetUpdate(source, target, **options).register(trainer)

    def move():
        with torch.no_grad():
            source.weight += 1
            source.seen += 1

    trainer.register_op("optimizer", lambda *arguments: move())
    trainer.register_op("post_optim_log", lambda sub: seen.append(target.weight[0].item()))
    trainer.train()
    return seen, trainer, source, target


def test_a_soft_update_goes_part_of_the_way_at_each_step():
    seen, *_ = updated(3, tau=0.25)
    assert seen == pytest.approx([0.25, 0.25 + 0.25 * 1.75, 0.6875 + 0.25 * 2.3125])


def test_a_hard_update_copies_every_so_many_steps():
    assert updated(5, every=2)[0] == [0.0, 2.0, 2.0, 4.0, 4.0]


def test_an_interval_in_frames_is_a_threshold():
    assert updated(5, every_frames=25)[0] == [0.0, 0.0, 3.0, 3.0, 5.0]


def test_buffers_are_copied_whatever_tau():
    *_, target = updated(3, tau=0.25)
    assert target.seen.item() == 3


def test_the_source_and_its_gradient_are_left_alone():
    _, _, source, target = updated(1, tau=0.5)
    assert source.weight.tolist() == [1.0, 1.0]
    assert target.weight.grad is None
    assert source.weight.requires_grad


def test_the_weights_and_the_count_survive_a_checkpoint():
    _, trainer, _, target = updated(3, every=2)
    again = make_trainer(1, optim_steps_per_batch=1)
    source, other = Moving(7.0), Moving(9.0)
    TargetUpdate(source, other, every=2).register(again)
    again.load_state_dict(trainer.state_dict())
    assert torch.equal(other.weight, target.weight)
    again.train()  # the fourth step in all
    assert other.weight.tolist() == [7.0, 7.0]


def test_a_tensordict_of_parameters_is_moved_as_well():
    source, target = (TensorDict({"a": {"b": torch.full((2,), v)}}) for v in (4.0, 0.0))
    TargetUpdate(source, target, tau=0.5)()
    assert target["a", "b"].tolist() == [2.0, 2.0]


def test_names_are_matched_not_positions():
    source = TensorDict({"a": torch.tensor(1.0), "b": torch.tensor(2.0)})
    target = TensorDict({"b": torch.tensor(0.0), "a": torch.tensor(0.0)})
    TargetUpdate(source, target)()
    assert (target["a"].item(), target["b"].item()) == (1.0, 2.0)


def test_networks_that_are_not_alike_are_refused():
    with pytest.raises(MissingKey, match="target of TargetUpdate lacks 'bias'"):
        TargetUpdate(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, bias=False))
    with pytest.raises(InvalidValue, match=r"'weight' .* shape \(3, 2\): expected \(2, 2\)"):
        TargetUpdate(torch.nn.Linear(2, 2), torch.nn.Linear(2, 3))


def test_a_network_that_is_its_own_target_is_refused():
    network = torch.nn.Linear(2, 2)
    with pytest.raises(InvalidType, match=r"shares weights .* copy\.deepcopy"):
        TargetUpdate(network, network)


@pytest.mark.parametrize("tau", [0.0, 1.1, float("nan")])
def test_a_tau_out_of_range_is_refused(tau):
    with pytest.raises(InvalidValue, match=r"tau=.* above 0 and at most 1"):
        TargetUpdate(Moving(), Moving(), tau=tau)


def test_something_without_parameters_is_refused():
    with pytest.raises(InvalidType, match="a ReLU without parameters"):
        TargetUpdate(torch.nn.ReLU(), torch.nn.ReLU())


def test_a_state_of_another_shape_is_refused_before_anything_changes():
    target = torch.nn.Linear(2, 2)
    hook, before = TargetUpdate(torch.nn.Linear(2, 2), target), copy.deepcopy(target.state_dict())
    state = {**hook.state_dict(), "weight": torch.zeros(2, 2), "bias": torch.zeros(5)}
    with pytest.raises(InvalidValue, match="'bias'"):
        hook.load_state_dict(state)
    assert torch.equal(target.weight, before["weight"])


def dqn_loss():
    from torchrl.modules import QValueActor
    from torchrl.objectives import DQNLoss

    network = torch.nn.Linear(3, 2)
    return DQNLoss(QValueActor(network, action_space="one-hot"), action_space="one-hot")


def test_torchrls_soft_update_moves_the_target_after_each_step():
    from torchrl.objectives import SoftUpdate

    loss = dqn_loss()
    hook, trainer = TargetNetUpdaterHook(SoftUpdate(loss, tau=0.5)), make_trainer(1)
    hook.register(trainer)
    with torch.no_grad():
        for parameter in loss.value_network_params.values(True, True):
            parameter.data += 4.0
    target = next(iter(loss.target_value_network_params.values(True, True)))
    source = next(iter(loss.value_network_params.values(True, True)))
    trainer.train()  # two steps halve the distance twice
    torch.testing.assert_close(source.data - target.data, torch.ones_like(target))


def test_the_count_of_torchrls_hard_update_survives_a_checkpoint():
    from torchrl.objectives import HardUpdate

    hooks = [
        TargetNetUpdaterHook(HardUpdate(dqn_loss(), value_network_update_interval=9))
        for _ in range(2)
    ]
    trainer = make_trainer(2, loss_module=QuadraticLoss())
    hooks[0].register(trainer)
    trainer.train()
    hooks[1].load_state_dict(hooks[0].state_dict())
    assert hooks[1].target_params_updater.counter == 4


def test_an_updater_without_a_state_needs_none():
    class Plain:
        def step(self):
            pass

    hook = TargetNetUpdaterHook(Plain())
    assert hook.state_dict() == {}
    hook.load_state_dict({})


def test_something_that_cannot_step_is_refused():
    with pytest.raises(InvalidType, match="target_params_updater is a dict"):
        TargetNetUpdaterHook({})
