"""torchrl's collectors and replay buffers, unchanged, in hookrl's trainer."""

import copy

import pytest
import torch
from interop.training import logged, make_trainer, watch
from tensordict import TensorDict
from torch import nn
from torchrl import trainers as torchrl
from torchrl.collectors import Collector, MultiSyncCollector
from torchrl.data import (
    LazyMemmapStorage,
    LazyTensorStorage,
    ListStorage,
    OneHot,
    SamplerWithoutReplacement,
    TensorDictReplayBuffer,
)
from torchrl.envs import GymEnv, SerialEnv
from torchrl.modules import QValueActor

from hookrl import hooks

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def cartpole():
    return GymEnv("CartPole-v1")


def collector(environment=cartpole, frames=20, policy=None, **options):
    return Collector(environment, policy, frames_per_batch=frames, total_frames=-1, **options)


def test_a_collector_over_gym_is_trained_on():
    trainer = make_trainer(collector=collector(), total_frames=60)
    hooks.LogScalar(logname="reward").register(trainer)
    trainer.train()
    assert (trainer.collected_frames, trainer.optim_steps) == (60, 6)
    assert logged(trainer, "reward") == [1.0, 1.0, 1.0]


def test_a_collector_over_several_environments_gives_environments_by_time():
    trainer = make_trainer(collector=collector(lambda: SerialEnv(2, cartpole)), total_frames=20)
    hooks.EpisodeStatistics().register(trainer)
    seen = watch(trainer, "post_steps_log")
    trainer.train()
    assert seen[0].batch_size == (2, 10)


def test_a_collector_is_closed_in_the_end():
    source = collector()
    make_trainer(collector=source, total_frames=20).train()
    assert source.closed


def test_a_collector_that_ends_by_itself_ends_training():
    source = Collector(cartpole, None, frames_per_batch=20, total_frames=40)
    trainer = make_trainer(collector=source, total_frames=10**6)
    trainer.train()
    assert trainer.collected_frames == 40
    assert trainer.stop_reason == "the collector has no more batches"


def test_split_trajectories_are_counted_by_their_mask():
    trainer = make_trainer(collector=collector(split_trajs=True), total_frames=60)
    hooks.CountFramesLog().register(trainer)
    trainer.train()
    assert trainer.collected_frames == 60
    assert logged(trainer, "n_frames") == [20, 40, 60]


def test_a_seed_makes_two_collectors_collect_alike():
    batches = []
    for _ in range(2):
        trainer = make_trainer(collector=collector(), total_frames=20, seed=3)
        batches.append(watch(trainer, "post_steps_log"))
        trainer.train()
    assert torch.equal(batches[0][0]["observation"], batches[1][0]["observation"])


def test_a_collector_in_another_process_is_sent_the_weights():
    network = nn.Linear(4, 2)
    with torch.no_grad():
        network.weight.zero_()
        network.bias.copy_(torch.tensor([1.0, 0.0]))
    policy = QValueActor(network, in_keys=["observation"], spec=OneHot(2))
    # A copy, since the weights of what it is given are shared with the process anyway.
    source = MultiSyncCollector(
        [cartpole], copy.deepcopy(policy), frames_per_batch=20, total_frames=-1
    )
    trainer = make_trainer(collector=source, total_frames=40)
    trainer.register_op("post_steps", lambda: network.bias.data.copy_(torch.tensor([0.0, 1.0])))
    hooks.UpdateWeights(
        source, policy_weights_getter=lambda: TensorDict.from_module(policy).data
    ).register(trainer)
    seen = watch(trainer, "post_steps_log")
    trainer.train()
    assert [batch["action"].float().view(-1, 2).mean(0).tolist() for batch in seen] == [
        [1, 0],
        [0, 1],
    ]
    assert source.closed


BUFFERS = {
    "tensors": lambda path: {"storage": LazyTensorStorage(20)},
    "memory-mapped": lambda path: {"storage": LazyMemmapStorage(20, scratch_dir=path)},
    "list": lambda path: {"storage": ListStorage(20)},
    "without replacement": lambda path: {
        "storage": LazyTensorStorage(20),
        "sampler": SamplerWithoutReplacement(drop_last=True),
    },
}


@pytest.mark.parametrize("kind", [torchrl.ReplayBufferTrainer, hooks.ReplayBufferTrainer])
@pytest.mark.parametrize("options", BUFFERS.values(), ids=BUFFERS)
def test_buffers_are_filled_and_sampled_by_either_hook(kind, options, tmp_path):
    buffer = TensorDictReplayBuffer(batch_size=5, **options(tmp_path / "buffer"))
    trainer = make_trainer()
    kind(buffer, flatten_tensordicts=True).register(trainer)
    seen = watch(trainer, "post_optim_log")
    trainer.train()
    assert len(buffer) == 20
    assert {sample.batch_size for sample in seen} == {torch.Size([5])}


def test_a_buffer_is_fed_by_a_collector():
    trainer = make_trainer(collector=collector(), total_frames=60)
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(100), batch_size=5)
    torchrl.ReplayBufferTrainer(buffer, flatten_tensordicts=True).register(trainer)
    trainer.train()
    assert len(buffer) == 60


def test_a_checkpoint_holds_what_a_collector_says_of_itself(tmp_path):
    def assembled(frames):
        return make_trainer(
            # Without a policy, torchrl's collector cannot load the state it gives.
            collector=collector(
                policy=QValueActor(nn.Linear(4, 2), in_keys=["observation"], spec=OneHot(2))
            ),
            total_frames=frames,
            save_trainer_interval=20,
            save_trainer_file=tmp_path / "checkpoint.pt",
        )

    assembled(40).train()
    resumed = assembled(60).load_from_file(tmp_path / "checkpoint.pt")
    assert resumed.collected_frames == 40
    resumed.train()
    assert resumed.collected_frames == 60
