import warnings
from itertools import chain

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from torchrl.data import (
    LazyMemmapStorage,
    LazyTensorStorage,
    ListStorage,
    ReplayBuffer,
    TensorDictReplayBuffer,
)
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement
from toys import make_batch, make_trainer

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import ReplayBufferTrainer, WarmUp


def numbered(first=0, envs=2, steps=5):
    batch = make_batch(envs, steps)
    batch["number"] = torch.arange(first, first + envs * steps).view(envs, steps)
    return batch


def torchrl_buffer(capacity=100, batch_size=4, storage=LazyTensorStorage, **options):
    return TensorDictReplayBuffer(storage=storage(capacity), batch_size=batch_size, **options)


class Batches:
    """A buffer of hookrl's kind: takes batches, hands out what was stored first."""

    takes_batches = True
    batch_size = 4

    def __init__(self):
        self.batches, self.priorities, self.seed = [], [], None

    def __len__(self):
        return sum(batch.numel() for batch in self.batches)

    def set_seed(self, seed_sequence):
        self.seed = seed_sequence

    def extend(self, batch):
        self.batches.append(batch)

    def sample(self, batch_size=None):
        flat = self.batches[0].reshape(-1)[: batch_size or self.batch_size].copy()
        return flat.set("index", torch.arange(len(flat)))

    def update_priority(self, index, priority):
        self.priorities.append((index.tolist(), priority.flatten().tolist()))

    def state_dict(self):
        return {"stored": len(self.batches)}

    def load_state_dict(self, state):
        self.loaded = state


def replaying(buffer, batches=2, loss_module=None, **options):
    data = [numbered(10 * index) for index in range(batches)]
    trainer = make_trainer(data, seed=1, loss_module=loss_module)
    hook = ReplayBufferTrainer(buffer, **options)
    hook.register(trainer)
    samples = []
    trainer.register_op("post_optim_log", lambda sample: samples.append(sample))
    return trainer, hook, samples


class TemporalDifference(torch.nn.Module):
    """Leaves an error for each transition in the sample, as torchrl's losses do."""

    def __init__(self, key="td_error"):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))
        self.key = key

    def forward(self, sample):
        sample[self.key] = -sample["number"].float() * self.weight
        return TensorDict({"loss_value": self.weight**2}, batch_size=[])


def test_transitions_are_stored_and_sampled():
    buffer = torchrl_buffer()
    trainer, _, samples = replaying(buffer)
    trainer.train()
    assert buffer[:]["number"].tolist() == list(range(20))
    assert [sample.shape for sample in samples] == [(4,)] * 4
    assert all((samples[0]["number"] < 10).tolist())


def test_the_trainer_knows_the_buffer():
    buffer = torchrl_buffer()
    assert replaying(buffer)[0].replay_buffer is buffer


def test_frames_masked_out_are_not_stored():
    buffer = torchrl_buffer()
    trainer, *_ = replaying(buffer, 1)
    trainer.collector.batches[0]["collector", "mask"] = torch.tensor([[True] * 4 + [False]] * 2)
    trainer.train()
    assert buffer[:]["number"].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]


def test_a_batch_of_nothing_valid_is_passed_over():
    buffer = torchrl_buffer()
    hook = ReplayBufferTrainer(buffer)
    batch = numbered()
    batch["collector", "mask"] = torch.zeros(2, 5, dtype=torch.bool)
    hook.extend(batch)
    assert len(buffer) == 0


@pytest.mark.parametrize("flatten", [False, True])
def test_the_collected_batch_stays_the_batch_and_unchanged(flatten):
    trainer, *_ = replaying(torchrl_buffer(), 1, flatten_tensordicts=flatten)
    given, seen = trainer.collector.batches[0], []
    before = given.clone()
    trainer.register_op("post_steps_log", seen.append)
    trainer.train()
    assert seen[0] is given
    assert set(given.keys(True)) == set(before.keys(True))
    assert (given == before).all()


def test_the_size_of_a_sample_can_be_chosen():
    trainer, _, samples = replaying(torchrl_buffer(batch_size=None), batch_size=7)
    trainer.train()
    assert samples[0].shape == (7,)


def test_samples_go_to_the_device_that_was_asked_for():
    hook = ReplayBufferTrainer(torchrl_buffer(), device="meta")
    hook.extend(numbered())
    assert hook.sample(None).device.type == "meta"


def test_padded_trajectories_are_stored_if_asked_for():
    buffer = torchrl_buffer(batch_size=2)
    trainer, _, samples = replaying(buffer, 1, max_dims=[-1, 7])
    trainer.train()
    assert samples[0].shape == (2, 7)
    assert samples[0]["collector", "mask"].sum(-1).tolist() == [5, 5]


def test_a_memory_mapped_storage_can_keep_what_it_is_handed():
    buffer = TensorDictReplayBuffer(storage=ListStorage(100), batch_size=4)
    ReplayBufferTrainer(buffer, memmap=True).extend(numbered())
    assert buffer[:]["number"].tolist() == list(range(10))


def test_iterating_ends_the_inner_loop_where_the_buffer_ends_and_begins_again():
    buffer = torchrl_buffer(batch_size=5, sampler=SamplerWithoutReplacement())
    trainer, _, samples = replaying(buffer, 2, iterate=True)
    trainer.optim_steps_per_batch = None
    trainer.train()
    numbers = [sample["number"].tolist() for sample in samples]
    assert sorted(chain(*numbers[:2])) == list(range(10))
    assert sorted(chain(*numbers[2:])) == list(range(20))


def test_a_sample_larger_than_the_buffer_says_what_would_wait():
    trainer, *_ = replaying(torchrl_buffer(batch_size=15))
    with pytest.raises(InvalidValue, match=r"15 .* holds 10: .* WarmUp\(learning_starts=15\)"):
        trainer.train()


def test_with_a_warm_up_nothing_is_sampled_too_early():
    trainer, _, samples = replaying(torchrl_buffer(batch_size=15))
    WarmUp(15).register(trainer)
    trainer.train()
    assert len(samples) == 2


def test_a_buffer_without_a_batch_size_is_refused_when_it_is_sampled():
    trainer, *_ = replaying(ReplayBuffer(storage=LazyTensorStorage(50)))
    with pytest.raises(InvalidValue, match="no batch_size"):
        trainer.train()


# ---------------------------------------------------------------- priorities


class PrioritizedSampler(SamplerWithoutReplacement):
    """Stands in for torchrl's, which does not load here."""


class Prioritized(TensorDictReplayBuffer):
    def __init__(self):
        super().__init__(storage=LazyTensorStorage(50), batch_size=4, sampler=PrioritizedSampler())
        self.updates = []

    def update_tensordict_priority(self, data):
        self.updates.append(data["td_error"].tolist())


def test_torchrls_buffer_reads_priorities_from_the_sample_itself():
    buffer = Prioritized()
    trainer, _, samples = replaying(buffer, 1, loss_module=TemporalDifference())
    trainer.train()
    assert buffer.updates == [sample["td_error"].tolist() for sample in samples]


def test_without_priorities_nothing_hangs_on_post_loss():
    trainer, *_ = replaying(torchrl_buffer())
    assert list(trainer.hooks["post_loss"]) == []


def test_priorities_that_could_not_be_told_are_refused():
    buffer = ReplayBuffer(storage=LazyTensorStorage(50), batch_size=4, sampler=PrioritizedSampler())
    with pytest.raises(InvalidType, match="expected a TensorDictReplayBuffer"):
        ReplayBufferTrainer(buffer)


def test_hookrls_buffer_is_told_index_and_size_of_the_error():
    buffer = Batches()
    trainer, *_ = replaying(buffer, 1, loss_module=TemporalDifference())
    trainer.train()
    assert buffer.priorities[0] == ([0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0])


def test_a_loss_that_leaves_no_error_is_named():
    trainer, *_ = replaying(Batches(), 1, loss_module=TemporalDifference("error"))
    with pytest.raises(MissingKey, match="no 'td_error' to update priorities with"):
        trainer.train()


def test_the_update_may_wait_until_after_the_step():
    assert ReplayBufferTrainer(Batches()).deferrable


# ---------------------------------------------------------- hookrl's buffers


def test_hookrls_buffer_takes_batches_as_they_are():
    buffer = Batches()
    trainer, *_ = replaying(buffer, 1, loss_module=TemporalDifference())
    trainer.train()
    assert buffer.batches[0] is trainer.collector.batches[0]


def test_hookrls_buffer_is_seeded_by_the_trainer():
    buffer = Batches()
    replaying(buffer)
    assert isinstance(buffer.seed, np.random.SeedSequence)


def test_the_state_of_hookrls_buffer_is_its_own():
    buffer = Batches()
    hook = ReplayBufferTrainer(buffer)
    hook.load_state_dict(hook.state_dict())
    assert buffer.loaded == {"stored": 0}


# --------------------------------------------------------------------- state


@pytest.mark.parametrize("storage", [LazyTensorStorage, LazyMemmapStorage, ListStorage])
@pytest.mark.parametrize("used", [0, 3], ids=["into a fresh buffer", "into a used buffer"])
def test_a_buffer_goes_on_from_a_checkpoint(storage, used):
    def buffer():
        return torchrl_buffer(15, storage=storage, sampler=SamplerWithoutReplacement())

    one, other = ReplayBufferTrainer(buffer()), ReplayBufferTrainer(buffer())
    one.extend(numbered())
    one.extend(numbered(10))  # the ring has gone round
    one.sample(None)
    for index in range(used):
        other.extend(numbered(100 * index))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other.load_state_dict(decode(*encode(one.state_dict())))
    for hook in (one, other):
        hook.extend(numbered(50, 1, 2))
    torch.manual_seed(0)
    found = [one.sample(None) for _ in range(6)]
    torch.manual_seed(0)
    expected = [other.sample(None) for _ in range(6)]
    for ours, theirs in zip(found, expected, strict=True):
        assert set(ours.keys(True)) == set(theirs.keys(True))
        assert (ours == theirs).all()
    assert one.replay_buffer.write_count == other.replay_buffer.write_count


def test_an_empty_buffer_makes_a_used_one_empty():
    one, other = (ReplayBufferTrainer(torchrl_buffer()) for _ in range(2))
    other.extend(numbered())
    other.load_state_dict(decode(*encode(one.state_dict())))
    assert len(other.replay_buffer) == 0
    other.extend(numbered(7, 1, 4))
    assert set(other.sample(None)["number"].tolist()) <= {7, 8, 9, 10}


def test_only_what_is_filled_is_saved():
    hook = ReplayBufferTrainer(torchrl_buffer(1000))
    hook.extend(numbered())
    assert hook.state_dict()["replay_buffer"]["contents"]["number"].shape == (10,)


def test_a_saved_state_does_not_change_with_the_buffer(tmp_path):
    buffer = torchrl_buffer(10, storage=LazyMemmapStorage)
    hook = ReplayBufferTrainer(buffer)
    hook.extend(numbered())
    state = hook.state_dict()
    hook.extend(numbered(90))
    assert state["replay_buffer"]["contents"]["number"].tolist() == list(range(10))


def test_a_state_of_something_else_is_refused_before_anything_changes():
    hook = ReplayBufferTrainer(torchrl_buffer())
    hook.extend(numbered())
    state = hook.state_dict()["replay_buffer"]
    rest = {key: value for key, value in state["rest"].items() if key != "_writer"}
    with pytest.raises(MissingKey, match="a replay buffer lacks '_writer'"):
        hook.load_state_dict({"replay_buffer": {**state, "rest": rest}, "refilling": False})
    assert len(hook.replay_buffer) == 10


def test_the_live_state_of_a_buffer_without_one_is_a_copy():
    stored = torch.zeros(3)
    buffer = Batches()
    buffer.state_dict = lambda: {"stored": stored}
    live = ReplayBufferTrainer(buffer).live_state_dict()
    stored += 1
    assert live["replay_buffer"]["stored"].tolist() == [0, 0, 0]


def test_what_is_stored_may_be_left_out_and_then_learning_waits_for_a_sample():
    trainer, hook, _ = replaying(torchrl_buffer(), save_contents=False)
    trainer.train()
    state = hook.state_dict()
    assert state == hook.live_state_dict() == {"replay_buffer": None, "refilling": False}
    resumed, fresh, samples = replaying(torchrl_buffer(), 3, batch_size=15)
    with pytest.warns(UserWarning, match="saved without the contents of its replay buffer"):
        fresh.load_state_dict(state)
    resumed.train()
    assert len(samples) == 2 * 2  # nothing after the first batch of 10
    assert fresh.state_dict()["refilling"] is False
    again, _, _ = replaying(torchrl_buffer(), 1, batch_size=15)
    with pytest.raises(InvalidValue, match="a sample of 15 was asked of a replay buffer"):
        again.train()


def test_waiting_for_a_sample_is_part_of_the_state():
    hook = ReplayBufferTrainer(torchrl_buffer(), batch_size=15)
    with pytest.warns(UserWarning, match="without the contents"):
        hook.load_state_dict({"replay_buffer": None, "refilling": False})
    resumed, fresh, samples = replaying(torchrl_buffer(), 1, batch_size=15)
    fresh.load_state_dict(hook.state_dict())
    resumed.train()
    assert samples == []


# -------------------------------------------------------------------- misuse


def test_something_that_is_no_buffer_is_refused():
    with pytest.raises(InvalidType, match="replay_buffer is a list without sample"):
        ReplayBufferTrainer([])


def test_a_buffer_that_does_not_say_what_it_takes_is_refused():
    class Mute(Batches):
        takes_batches = False

    with pytest.raises(InvalidType, match="a Mute with neither takes_batches=True nor"):
        ReplayBufferTrainer(Mute())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"max_dims": [1, 2], "flatten_tensordicts": True}, "flatten_tensordicts=False"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        ReplayBufferTrainer(torchrl_buffer(), **arguments)


@pytest.mark.parametrize(
    ("max_dims", "message"), [([5], "one size for each dimension"), ([2, 3], "no smaller")]
)
def test_sizes_that_do_not_fit_the_batch_are_refused(max_dims, message):
    with pytest.raises(InvalidValue, match=message):
        ReplayBufferTrainer(torchrl_buffer(), max_dims=max_dims).extend(numbered())
