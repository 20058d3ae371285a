import numpy as np
import pytest
import torch
from replay.reference import EveryRow, Stream, as_batch, everything
from tensordict import TensorDict

from hookrl.errors import InvalidValue
from hookrl.replay import PrioritizedSampler, ReplayBuffer, UniformSampler


def make(capacity=20, **options):
    buffer = ReplayBuffer(capacity, **{"batch_size": 4, **options})
    buffer.set_seed(np.random.SeedSequence(7))
    return buffer


def batch(envs=2, steps=6, seed=0):
    return as_batch(Stream(seed, envs).frames(steps))


@pytest.mark.parametrize("n_step", [1, 3])
def test_a_sample_has_these_entries(n_step):
    buffer = make(n_step=n_step)
    buffer.extend(batch())
    sample = buffer.sample()
    found = {
        key: (tuple(value.shape), value.dtype)
        for key, value in sample.items(include_nested=True, leaves_only=True)
    }
    flag = ((4, 1), torch.bool)
    assert found == {
        "observation": ((4, 2), torch.float32),
        "action": ((4,), torch.int64),
        "index": ((4,), torch.int64),
        **({"steps_to_next_obs": ((4, 1), torch.int64)} if n_step > 1 else {}),
        ("next", "observation"): ((4, 2), torch.float32),
        ("next", "reward"): ((4, 1), torch.float32),
        ("next", "done"): flag,
        ("next", "terminated"): flag,
        ("next", "truncated"): flag,
    }
    assert sample.batch_size == sample["next"].batch_size == (4,)


def test_the_number_of_draws_may_be_chosen():
    buffer = make()
    buffer.extend(batch())
    assert buffer.sample(7).batch_size == (7,)


def test_one_environment_may_leave_out_its_dimension():
    one, other = make(sampler=EveryRow()), make(sampler=EveryRow())
    one.extend(batch(1))
    other.extend(batch(1)[0])
    assert (everything(one) == everything(other)).all()


def test_an_empty_batch_changes_nothing():
    buffer = make()
    buffer.extend(batch()[:, :0])
    assert len(buffer) == 0


def test_a_sample_of_an_empty_buffer_says_what_to_do():
    with pytest.raises(ValueError, match="4 transitions were asked for, but only 0 are stored"):
        make().sample()


def test_a_sample_larger_than_the_buffer_is_refused():
    buffer = make()
    buffer.extend(batch(1, 3))
    with pytest.raises(ValueError, match="4 transitions were asked for, but only 3 are stored"):
        buffer.sample()


@pytest.mark.parametrize("name", ["capacity", "batch_size", "n_step"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match=rf"ReplayBuffer\({name}=0\): expected at least 1"):
        ReplayBuffer(**{"capacity": 10, "batch_size": 1, name: 0})


def test_a_discount_above_one_is_refused():
    with pytest.raises(ValueError, match=r"gamma=1.1\): expected a number from 0 to 1"):
        make(gamma=1.1)


def test_a_foreign_sampler_is_refused():
    with pytest.raises(TypeError, match="expected one of hookrl.replay"):
        make(sampler="prioritized")


def test_more_environments_than_capacity_are_refused():
    with pytest.raises(ValueError, match="at least one transition for each of 30 environments"):
        make().extend(batch(30, 1))


def without(key):
    return lambda b: b.exclude(key)


def with_entry(key, value):
    def change(b):
        return b.clone().set(key, value)

    return change


FLAT = torch.zeros(2, 6)
MISTAKES = {
    "no action": (
        without("action"),
        KeyError,
        "lacks 'action' .did you mean 'action_log_prob'.*; it has 'action_log_prob', ",
    ),
    "no observation": (without("observation"), KeyError, "lacks 'observation'"),
    "no next observation": (without(("next", "observation")), KeyError, "lacks .'next', 'obs"),
    "no truncated": (without(("next", "truncated")), KeyError, "lacks .'next', 'truncated'"),
    "flat reward": (with_entry(("next", "reward"), FLAT), ValueError, "'reward'"),
    "done is a number": (with_entry(("next", "done"), FLAT[..., None]), ValueError, "'done'"),
    "next observation of another size": (
        with_entry(("next", "observation"), torch.zeros(2, 6, 3)),
        ValueError,
        r"float32 \[3\], expected torch.float32 \[2\]",
    ),
    "next observation of another type": (
        with_entry(("next", "observation"), torch.zeros(2, 6, 2).double()),
        ValueError,
        "float64",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_first_batch_with_a_mistake_is_refused_and_leaves_the_buffer_empty(mistake):
    change, error, message = mistake
    buffer = make()
    good = batch().set("action_log_prob", FLAT)
    with pytest.raises(error, match=message):
        buffer.extend(change(good))
    buffer.extend(batch(3))
    assert len(buffer) == 18


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_later_batch_with_a_mistake_is_refused_and_changes_nothing(mistake):
    change, error, message = mistake
    buffer = make(sampler=EveryRow())
    good = batch().set("action_log_prob", FLAT)
    buffer.extend(good)
    before = everything(buffer)
    with pytest.raises(error, match=message):
        buffer.extend(change(good))
    assert (everything(buffer) == before).all()


def test_another_number_of_environments_is_refused():
    buffer = make()
    buffer.extend(batch(2))
    with pytest.raises(ValueError, match="the batch has 3 environments, the first one had 2"):
        buffer.extend(batch(3))


def test_a_batch_of_three_dimensions_is_refused():
    with pytest.raises(ValueError, match=r"the batch is \[1, 2, 3\], expected \[envs, time\]"):
        make().extend(TensorDict({}, batch_size=(1, 2, 3)))


def test_the_same_seed_draws_the_same_and_another_does_not():
    draws = []
    for seed in (1, 1, 2):
        buffer = make()
        buffer.extend(batch())
        buffer.set_seed(np.random.SeedSequence(seed))
        draws.append(buffer.sample(12)["index"].tolist())
    assert draws[0] == draws[1] != draws[2]


def test_sampling_leaves_the_process_wide_generators_alone():
    buffer = make()
    buffer.extend(batch())
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    buffer.sample()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_the_write_count_goes_on_when_the_buffer_is_full_and_leaves_out_masked_frames():
    buffer = make(12)
    for _ in range(3):
        buffer.extend(batch())
    masked = batch()
    masked["collector", "mask"] = torch.zeros(2, 6, dtype=torch.bool)
    buffer.extend(masked)
    assert buffer.write_count == 36


def test_actions_that_require_gradients_are_stored_without_them():
    with_gradients = batch()
    with_gradients["action"] = torch.zeros(2, 6, 3, requires_grad=True)
    buffer = make()
    buffer.extend(with_gradients)
    assert not buffer.sample()["action"].requires_grad


@pytest.mark.parametrize("sampler", [UniformSampler, PrioritizedSampler])
def test_a_sample_of_nothing_is_refused(sampler):
    buffer = ReplayBuffer(8, batch_size=2, sampler=sampler())
    buffer.extend(as_batch(Stream(0, 1).frames(4)))
    with pytest.raises(InvalidValue, match="batch_size=0, expected at least 1"):
        buffer.sample(0)


@pytest.mark.parametrize(
    ("options", "gathers"),
    [({}, True), ({"device": "cpu"}, True), ({"device": "meta"}, False)],
    ids=["anywhere", "host", "elsewhere"],
)
def test_a_captured_step_gathers_only_what_stays_on_the_host(options, gathers, tmp_path):
    for place in ({}, {"directory": tmp_path}):
        buffer = make(**options, **place)
        assert buffer.gathers is gathers
        if place or gathers:  # nothing can be read of what lies nowhere
            buffer.extend(batch())
            assert buffer.gathers is gathers
    assert not make(sampler=PrioritizedSampler(), **options).gathers
