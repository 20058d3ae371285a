from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict
from toys import make_batch, make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import BatchSubSampler


def numbered(*shape, mask=None):
    """A batch whose frames carry their number."""
    count = int(np.prod(shape))
    batch = TensorDict({"number": torch.arange(count).view(shape)}, batch_size=shape)
    if mask is not None:
        batch["collector", "mask"] = torch.as_tensor(mask, dtype=torch.bool)
    return batch


def draw(sampler, batch, times=1):
    sampler.start(batch)
    drawn = []
    for _ in range(times):
        sampler.prepare(None)
        drawn.append(sampler(batch)["number"])
    return drawn


def test_of_a_flat_batch_transitions_are_taken_without_replacement():
    (part,) = draw(BatchSubSampler(6), numbered(10))
    assert part.shape == (6,)
    assert len(set(part.tolist())) == 6


def test_a_flat_batch_that_is_smaller_is_taken_whole():
    (part,) = draw(BatchSubSampler(100), numbered(10))
    assert sorted(part.tolist()) == list(range(10))


def test_without_a_length_whole_rows_are_taken():
    (part,) = draw(BatchSubSampler(10), numbered(4, 5))
    assert part.shape == (2, 5)
    assert all(row.tolist() == list(range(row[0], row[0] + 5)) for row in part)
    assert all(row[0] % 5 == 0 for row in part)


@given(rows=st.integers(1, 4), steps=st.integers(1, 8), length=st.integers(1, 8), data=st.data())
def test_parts_are_consecutive_valid_frames_of_one_row(rows, steps, length, data):
    length = min(length, steps)
    flags = st.lists(st.booleans(), min_size=rows * steps, max_size=rows * steps)
    mask = torch.tensor(data.draw(flags)).view(rows, steps)
    mask[0, 0] = True
    (part,) = draw(BatchSubSampler(3 * steps, length), numbered(rows, steps, mask=mask))
    assert part.shape[0] * part.shape[1] <= 3 * steps
    assert (part[:, 1:] - part[:, :-1] == 1).all()
    assert (part // steps == part[:, :1] // steps).all()
    assert mask.view(-1)[part].all()


def test_every_start_is_equally_likely_the_last_one_included():
    counts = Counter()
    for part in draw(BatchSubSampler(30, 3), numbered(2, 5), times=600):
        counts.update(part[:, 0].tolist())
    assert set(counts) == {0, 1, 2, 5, 6, 7}
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_the_shortest_run_of_valid_frames_limits_the_length():
    mask = [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]
    (part,) = draw(BatchSubSampler(8, 4), numbered(2, 5, mask=mask))
    assert part.shape == (4, 2)


def test_runs_below_the_minimum_are_left_out():
    mask = [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]
    (part,) = draw(BatchSubSampler(40, 4, min_sub_traj_len=3), numbered(2, 5, mask=mask))
    assert part.shape == (13, 3)
    assert set(part[:, 0].tolist()) <= {5, 6, 7}


def test_inside_a_trainer_each_step_has_a_part_of_its_own():
    batch = make_batch(4, 50)
    batch["number"] = torch.arange(200).view(4, 50)
    trainer, seen = make_trainer([batch], seed=3), []
    BatchSubSampler(20, 10).register(trainer)
    trainer.register_op("post_loss", lambda sub: seen.append(sub["number"]))
    trainer.train()
    assert [part.shape for part in seen] == [(2, 10)] * 2
    assert not torch.equal(*seen)


def test_what_another_hook_sampled_is_sampled_again():
    trainer, seen = make_trainer(1), []
    trainer.register_op("process_optim_batch", lambda batch: numbered(7), priority=-1)
    BatchSubSampler(5).register(trainer)
    trainer.register_op("post_loss", lambda sub: seen.append(sub.shape))
    trainer.train()
    assert seen == [(5,)] * 2


def test_a_batch_without_any_valid_frame_is_not_learned_from():
    batch = make_batch()
    batch["collector", "mask"] = torch.zeros(2, 5, dtype=torch.bool)
    trainer = make_trainer([batch])
    BatchSubSampler(4, 2).register(trainer)
    trainer.train()
    assert trainer.optim_steps == 0


def test_equal_seeds_draw_equal_parts_and_a_restored_one_goes_on():
    one, other, third = BatchSubSampler(4, 2), BatchSubSampler(4, 2), BatchSubSampler(4, 2)
    for sampler in (one, other):
        sampler.set_seed(np.random.SeedSequence(5))
    batch = numbered(3, 6)
    assert torch.equal(torch.stack(draw(one, batch, 3)), torch.stack(draw(other, batch, 3)))
    third.load_state_dict(one.state_dict())
    assert torch.equal(*(torch.stack(draw(sampler, batch, 3)) for sampler in (one, third)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 9), "sub_traj_len=9 .* expected at most 5"),
        ((4, 5), "batch_size=4 .* below the length 5"),
        ((9, 0, 6), "expected no more than the longest run of valid frames, which is 5"),
    ],
)
def test_lengths_that_do_not_fit_the_batch_are_refused(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        BatchSubSampler(*arguments)(numbered(2, 5))


def test_a_length_that_does_not_fit_is_refused_inside_a_trainer_too():
    trainer = make_trainer(1)
    BatchSubSampler(9, 9).register(trainer)
    with pytest.raises(InvalidValue, match="sub_traj_len=9"):
        trainer.train()


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(InvalidValue, match="batch_size=0"):
        BatchSubSampler(0)
