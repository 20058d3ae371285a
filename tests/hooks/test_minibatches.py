import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict
from toys import make_batch, make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import Minibatches, minibatches


def numbered_batch(envs, steps, valid=None):
    batch = TensorDict(
        {"number": torch.arange(envs * steps).view(envs, steps)}, batch_size=(envs, steps)
    )
    if valid is not None:
        batch["collector", "mask"] = valid.view(envs, steps)
    return batch


def draw(hook, batch):
    """All minibatches of a batch, as lists of frame numbers."""
    hook.start(batch)
    drawn = []
    while True:
        hook.prepare(None)
        try:
            drawn.append(hook(batch)["number"].tolist())
        except StopIteration:
            return drawn


@given(
    envs=st.integers(2, 4),
    steps=st.integers(3, 9),
    minibatches=st.integers(1, 6),
    epochs=st.integers(1, 3),
    data=st.data(),
)
def test_every_valid_frame_is_in_exactly_one_minibatch_of_each_epoch(
    envs, steps, minibatches, epochs, data
):
    frames = envs * steps
    valid = torch.tensor(data.draw(st.lists(st.booleans(), min_size=frames, max_size=frames)))
    valid[:6] = True
    drawn = draw(Minibatches(minibatches, epochs), numbered_batch(envs, steps, valid))
    per_epoch = minibatches
    assert len(drawn) == per_epoch * epochs
    for epoch in range(epochs):
        parts = drawn[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(frame for part in parts for frame in part) == valid.nonzero()[:, 0].tolist()
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_more_minibatches_than_valid_frames_are_refused():
    with pytest.raises(InvalidValue, match="2 valid frames for 3 minibatches"):
        Minibatches(3).start(numbered_batch(1, 2))


def test_a_hook_that_is_not_shown_the_batch_says_what_is_missing():
    trainer = make_trainer(1)
    trainer.register_op("process_optim_batch", Minibatches(2))
    with pytest.raises(InvalidValue, match="no batch to cut: expected its start .*'batch_process'"):
        trainer.train()


def test_what_a_hook_ahead_returns_is_what_is_cut():
    trainer, seen = make_trainer([make_batch()], optim_steps_per_batch=None), []
    count = iter(range(10))

    def replace_batch(batch):
        return batch.clone().fill_("observation", float(next(count)))

    trainer.register_op("process_optim_batch", replace_batch, priority=-1)
    Minibatches(2).register(trainer)
    trainer.register_op("post_loss", lambda sub: seen.append(sub["observation"].mean().item()))
    trainer.train()
    assert seen == [0.0, 1.0]


def test_each_epoch_has_an_order_of_its_own():
    first, second = draw(Minibatches(1, 2), numbered_batch(4, 16))
    assert first != second


def test_epochs_that_are_drawn_at_once_are_those_that_are_drawn_one_by_one(monkeypatch):
    batch = numbered_batch(4, 8)
    together = draw(Minibatches(3, 4), batch)
    monkeypatch.setattr(minibatches, "_TOGETHER", 1)
    assert draw(Minibatches(3, 4), batch) == together


def test_the_inner_loop_ends_when_the_epochs_are_over():
    trainer = make_trainer(2, optim_steps_per_batch=None)
    Minibatches(3, 2).register(trainer)
    trainer.train()
    assert trainer.optim_steps == 2 * 3 * 2


def test_only_the_keys_that_were_asked_for_are_gathered():
    trainer, seen = make_trainer(1), []
    Minibatches(2, keys=["observation", ("next", "reward")]).register(trainer)
    trainer.register_op("post_loss", lambda sub: seen.append(set(sub.keys(True, True))))
    trainer.train()
    assert seen[0] == {"observation", ("next", "reward")}


def test_entries_changed_between_epochs_are_seen_in_the_next():
    trainer, seen = make_trainer([make_batch()], optim_steps_per_batch=None), []

    def count_up(batch):
        batch["observation"] = batch["observation"] + 1

    trainer.register_op("process_optim_batch", count_up, priority=-1)
    Minibatches(1, 3).register(trainer)
    trainer.register_op("post_loss", lambda sub: seen.append(sub["observation"].mean().item()))
    trainer.train()
    assert seen == [1.0, 2.0, 3.0]


def test_a_restored_generator_draws_what_would_have_come():
    batch, one, other = numbered_batch(4, 8), Minibatches(2, 2), Minibatches(2, 2)
    draw(one, batch)
    other.load_state_dict(one.state_dict())
    assert draw(one, batch) == draw(other, batch)


@pytest.mark.parametrize("counts", [(0, 1), (1, 0)])
def test_counts_below_one_are_refused(counts):
    with pytest.raises(InvalidValue, match="expected at least 1"):
        Minibatches(*counts)


def test_indices_go_where_the_batch_is():
    hook = Minibatches(2)
    batch = numbered_batch(2, 3).to("meta").clear_device_()
    hook.start(batch)
    for _ in range(2):
        minibatch = hook(batch)
        assert minibatch.batch_size == (3,)
        assert {one.device.type for one in minibatch.values(True, True)} == {"meta"}
    with pytest.raises(StopIteration):
        hook(batch)
