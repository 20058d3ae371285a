import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hookrl.checkpoints import decode, encode
from hookrl.errors import MissingKey
from hookrl.hooks import Latest, Mean, TrainerHookBase, declares
from hookrl.trainers.metrics import RunningMeans


class Remembers(TrainerHookBase):
    """State of every kind that an attribute may have."""

    state_fields = ("count", "name", "tensor", "array", "rng", "nested", "later")

    def __init__(self):
        self.count = 0
        self.name = ""
        self.tensor = torch.zeros(3, dtype=torch.float64)
        self.array = np.zeros(3, dtype=np.float32)
        self.rng = np.random.default_rng(0)
        self.nested = {"list": [1, (2.0, None)]}
        self.later = None
        self.apart = "not state"

    def register(self, trainer, name="remembers"):
        trainer.register_module(name, self)


def filled(seed=1):
    hook, rng = Remembers(), np.random.default_rng(seed)
    hook.count, hook.name, hook.later = 7, "seven", torch.ones(2)
    hook.tensor = torch.from_numpy(rng.normal(size=3))
    hook.array = rng.normal(size=3).astype(np.float32)
    hook.rng, hook.nested = rng, {"list": [3, (4.0, "x")]}
    return hook


def same(a, b):
    (left, left_tensors), (right, right_tensors) = encode(a.state_dict()), encode(b.state_dict())
    return left == right and all(
        torch.equal(left_tensors[name], right_tensors[name]) for name in left_tensors
    )


def test_the_state_is_what_the_fields_name_and_nothing_else():
    assert set(Remembers().state_dict()) == set(Remembers.state_fields)


def test_a_round_trip_through_the_codec_restores_every_kind_of_field():
    hook, restored = filled(), Remembers()
    restored.load_state_dict(decode(*encode(hook.state_dict())))
    assert same(hook, restored)


def test_fields_come_back_as_the_kinds_they_were():
    hook = Remembers()
    hook.load_state_dict(decode(*encode(filled().state_dict())))
    assert isinstance(hook.array, np.ndarray)
    assert hook.array.dtype == np.float32
    assert hook.tensor.dtype == torch.float64
    assert isinstance(hook.rng, np.random.Generator)


@given(hnp.arrays(np.float32, 3, elements=st.floats(-1e6, 1e6, width=32)))
def test_arrays_come_back_to_the_bit(array):
    hook, restored = Remembers(), Remembers()
    hook.array = array
    restored.load_state_dict(decode(*encode(hook.state_dict())))
    assert np.array_equal(restored.array, array)


def test_a_state_does_not_change_when_the_hook_goes_on():
    hook = filled()
    state = hook.state_dict()
    hook.tensor += 1
    hook.array += 1
    hook.nested["list"].append(5)
    hook.rng.random()
    restored = Remembers()
    restored.load_state_dict(state)
    assert same(restored, filled())


def test_a_hook_that_goes_on_does_not_change_the_state_it_was_restored_from():
    state, hook = filled().state_dict(), Remembers()
    hook.load_state_dict(state)
    hook.tensor += 1
    hook.later += 1
    hook.array += 1
    hook.nested["list"].append(5)
    again = Remembers()
    again.load_state_dict(state)
    assert same(again, filled())


@pytest.mark.parametrize("wrong", ["lacks", "has unexpected"])
def test_a_state_with_other_entries_is_refused_and_changes_nothing(wrong):
    hook, state = filled(), Remembers().state_dict()
    if wrong == "lacks":
        del state["rng"]
    else:
        state["more"] = 1
    with pytest.raises(MissingKey, match=f"the state for Remembers {wrong} '(rng|more)'"):
        hook.load_state_dict(state)
    assert same(hook, filled())


def test_a_hook_without_register_cannot_be_made():
    class Incomplete(TrainerHookBase):
        pass

    with pytest.raises(TypeError, match="register"):
        Incomplete()


def test_declared_keys_are_attributes_of_the_method_and_calling_it_is_as_before():
    @declares(reads=("a",), writes=("b", ("next", "c")))
    def double(value):
        """Say twice."""
        return 2 * value

    assert (double.reads, double.writes) == (("a",), ("b", ("next", "c")))
    assert (double(3), double.__doc__) == (6, "Say twice.")


def numbers(*entries):
    running = RunningMeans()
    for entry in entries:
        running.add(entry)
    return running.numbers()


@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(1, 9)), min_size=1))
def test_means_in_two_parts_weigh_by_their_counts(parts):
    total, count = (sum(column) for column in zip(*parts, strict=True))
    assert numbers(*({"x": Mean(*part)} for part in parts))["x"] == pytest.approx(total / count)


@given(st.lists(st.integers(-99, 99), min_size=1, max_size=600))
def test_of_latest_values_only_the_last_one_counts(values):
    assert numbers(*({"x": Latest(value)} for value in values)) == {"x": values[-1]}


def test_a_latest_value_may_stay_a_tensor():
    assert numbers({"x": Latest(torch.tensor(1.0))}, {"x": Latest(torch.tensor(4.0))}) == {"x": 4.0}


def test_a_latest_value_replaces_the_one_in_a_restored_state():
    before, after = RunningMeans(), RunningMeans()
    before.add({"x": Latest(5)})
    after.load_state_dict(before.state_dict())
    after.add({"x": Latest(6)})
    assert after.numbers() == {"x": 6}
