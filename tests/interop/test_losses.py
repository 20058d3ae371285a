"""torchrl's losses and target updaters, unchanged, in hookrl's trainer."""

import pytest
import torch
from interop.training import make_trainer, watch
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torch import nn
from torchrl import trainers as torchrl
from torchrl.data import Bounded, LazyTensorStorage, OneHot, TensorDictReplayBuffer
from torchrl.modules import (
    OneHotCategorical,
    ProbabilisticActor,
    QValueActor,
    TanhNormal,
    ValueOperator,
)
from torchrl.objectives import ClipPPOLoss, DQNLoss, HardUpdate, SACLoss, SoftUpdate

from hookrl import hooks
from hookrl.checkpoints import decode, encode
from hookrl.testing import TinyCollector, tiny_batch

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def discrete_batch():
    batch = tiny_batch()
    batch["action"] = nn.functional.one_hot(batch["action"], 2)
    return batch


def continuous_batch():
    batch = tiny_batch()
    batch["action"] = torch.linspace(-0.9, 0.9, 8).view(2, 4, 1)
    return batch


def dqn_loss():
    torch.manual_seed(0)
    network = QValueActor(nn.Linear(3, 2), in_keys=["observation"], spec=OneHot(2))
    return DQNLoss(network, action_space="one-hot", delay_value=True), discrete_batch()


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1)

    def forward(self, observation, action):
        return self.linear(torch.cat([observation, action], -1))


def sac_loss():
    torch.manual_seed(0)
    actor = ProbabilisticActor(
        TensorDictModule(
            nn.Sequential(nn.Linear(3, 2), NormalParamExtractor()),
            ["observation"],
            ["loc", "scale"],
        ),
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        spec=Bounded(-1.0, 1.0, (1,)),
    )
    critic = ValueOperator(Critic(), in_keys=["observation", "action"])
    return SACLoss(actor, critic, action_spec=Bounded(-1.0, 1.0, (1,))), continuous_batch()


def ppo_loss():
    torch.manual_seed(0)
    actor = ProbabilisticActor(
        TensorDictModule(nn.Linear(3, 2), ["observation"], ["logits"]),
        in_keys=["logits"],
        distribution_class=OneHotCategorical,
        return_log_prob=True,
    )
    batch = discrete_batch()
    batch["action_log_prob"] = torch.full((2, 4), -0.7)
    critic = ValueOperator(nn.Linear(3, 1), in_keys=["observation"])
    return ClipPPOLoss(actor, critic), batch


LOSSES = {
    "DQNLoss": (dqn_loss, {"loss"}),
    "SACLoss": (sac_loss, {"loss_actor", "loss_qvalue", "loss_alpha"}),
    "ClipPPOLoss": (ppo_loss, {"loss_objective", "loss_critic", "loss_entropy"}),
}
every_loss = pytest.mark.parametrize(("make", "entries"), LOSSES.values(), ids=LOSSES)


def assembled(make, **options):
    """A trainer for the loss; DQN's only loss is called ``loss``, so it must be named."""
    loss, batch = make()
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    trainer = make_trainer(
        loss_module=loss, optimizer=None, collector=TinyCollector(batch), **options
    )
    components = ["loss"] if isinstance(loss, DQNLoss) else None
    hooks.OptimizerHook(optimizer, components).register(trainer)
    return trainer


def parameters(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.loss_module.parameters()])


@every_loss
def test_a_loss_trains_with_the_value_estimator_it_makes_for_itself(make, entries):
    trainer = assembled(make)
    assert trainer.loss_module._value_estimator is None
    before = parameters(trainer).clone()
    seen = []
    trainer.register_op("post_optim", lambda: seen.append(trainer.losses))
    trainer.train()
    assert trainer.loss_module._value_estimator is not None
    assert not torch.equal(parameters(trainer), before)
    assert entries <= set(seen[0].keys())
    assert all(value.isfinite().all() for losses in seen for value in losses.values())


@every_loss
def test_a_loss_trains_with_torchrls_own_optimizer_hook(make, entries):
    loss, batch = make()
    trainer = make_trainer(loss_module=loss, optimizer=None, collector=TinyCollector(batch))
    torchrl.OptimizerHook(torch.optim.Adam(loss.parameters(), lr=0.01)).register(trainer)
    before = parameters(trainer).clone()
    trainer.train()
    assert not torch.equal(parameters(trainer), before)


@every_loss
def test_a_loss_resumes_exactly(make, entries):
    one = assembled(make, total_frames=48)
    half = assembled(make, total_frames=24)
    resumed = assembled(make, total_frames=48)
    one.train()
    half.train()
    resumed.load_state_dict(decode(*encode(half.state_dict())))
    resumed.train()
    assert torch.equal(parameters(one), parameters(resumed))


@every_loss
def test_a_state_from_before_the_first_call_loads_as_well(make, entries):
    saved, loaded = assembled(make), assembled(make)
    with torch.no_grad():
        for parameter in saved.loss_module.parameters():
            parameter.add_(1)
    assert not torch.equal(parameters(saved), parameters(loaded))
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(parameters(saved), parameters(loaded))


@pytest.mark.parametrize("kind", [torchrl.TargetNetUpdaterHook, hooks.TargetNetUpdaterHook])
@pytest.mark.parametrize(
    ("updater", "moves"),
    [
        (lambda loss: SoftUpdate(loss, tau=0.5), True),
        (lambda loss: HardUpdate(loss, value_network_update_interval=2), True),
        (lambda loss: HardUpdate(loss, value_network_update_interval=100), False),
    ],
    ids=["SoftUpdate", "HardUpdate", "HardUpdate, not yet"],
)
def test_target_updaters_move_the_target(kind, updater, moves):
    trainer = assembled(dqn_loss)
    target = trainer.loss_module.target_value_network_params
    before = target.data.clone()
    kind(updater(trainer.loss_module)).register(trainer, "target")
    trainer.train()
    assert bool((target.data == before).all()) is not moves


def test_dqn_with_a_replay_buffer_and_a_soft_update():
    trainer = assembled(dqn_loss)
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(20), batch_size=6)
    torchrl.ReplayBufferTrainer(buffer, flatten_tensordicts=True).register(trainer)
    torchrl.TargetNetUpdaterHook(SoftUpdate(trainer.loss_module, tau=0.5)).register(trainer, "soft")
    seen = watch(trainer, "post_optim_log")
    trainer.train()
    assert all("td_error" in sample for sample in seen)


def test_ppo_with_its_value_estimator_over_the_whole_batch_and_sub_trajectories():
    trainer = assembled(ppo_loss)
    trainer.loss_module.make_value_estimator()
    trainer.register_op(
        "batch_process",
        lambda batch: trainer.loss_module.value_estimator(
            batch,
            params=trainer.loss_module.critic_network_params,
            target_params=trainer.loss_module.target_critic_network_params,
        ),
        name="advantages",
    )
    torchrl.BatchSubSampler(4, sub_traj_len=2).register(trainer)
    seen = watch(trainer, "post_optim_log")
    trainer.train()
    assert all("advantage" in sample for sample in seen)
