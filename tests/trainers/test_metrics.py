import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from hookrl.errors import InvalidType
from hookrl.hooks import Latest, Mean
from hookrl.trainers.metrics import RunningMeans


def running(*entries):
    means = RunningMeans()
    for entry in entries:
        means.add(entry)
    return means


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=700))
def test_the_mean_is_that_of_all_values_however_many_there_are(values):
    found = running(*({"x": torch.tensor(v, dtype=torch.float64)} for v in values)).numbers()
    assert found["x"] == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_names_are_averaged_over_their_own_values():
    assert running({"a": 1.0}, {"a": 3.0, "b": 5}).numbers() == {"a": 2.0, "b": 5.0}


def test_means_in_two_parts_combine_to_the_mean_over_everything():
    found = running({"x": Mean(10.0, 1)}, {"x": Mean(torch.tensor(60.0), torch.tensor(3))})
    assert found.numbers() == {"x": 17.5}


def test_a_name_that_nothing_was_counted_for_is_left_out():
    assert running({"x": Mean(torch.tensor(0.0), torch.tensor(0)), "y": 1.0}).numbers() == {
        "y": 1.0
    }


def test_of_counts_the_row_holds_the_latest():
    assert running({"x": Latest(1)}, {"x": Latest(5)}).numbers() == {"x": 5.0}


def test_what_is_derived_from_them_counts_as_they_do():
    class Weighed(Mean):
        pass

    class Newest(Latest):
        pass

    found = running({"x": Weighed(10, 4), "y": Newest(1)}, {"x": Weighed(0, 1), "y": Newest(5)})
    assert found.numbers() == {"x": 2.0, "y": 5.0}


def test_means_stay_on_their_device_until_numbers_are_asked_for():
    """On the meta device whoever asks for a number gets an error."""
    means = running({"x": torch.tensor(1.0, device="meta")}, {"x": torch.ones(1, device="meta")})
    assert means.means()["x"].device.type == "meta"


def test_means_on_the_host_are_numbers():
    assert running({"x": torch.tensor(1.0)}, {"x": torch.tensor(2.0)}).means() == {"x": 1.5}


def test_entries_may_be_a_tensordict():
    losses = TensorDict({"loss": torch.tensor(2.0)}, batch_size=[])
    assert running(losses, {"loss": torch.tensor(4.0)}).numbers() == {"loss": 3.0}


def test_what_was_taken_in_may_change_afterwards():
    means, counter = RunningMeans(), torch.zeros(())
    for _ in range(4):
        counter += 1
        means.add({"x": counter})
    assert means.numbers() == {"x": 2.5}


def test_nothing_that_was_taken_in_is_kept_alive():
    means, batch = RunningMeans(), torch.ones(1000, requires_grad=True)
    kept = weakref.ref(batch)
    means.add({"x": batch[0], "y": batch.sum()})
    del batch
    assert kept() is None


def test_plain_values_and_means_of_one_name_combine():
    assert running({"x": Mean(10.0, 3)}, {"x": 2.0}).numbers() == {"x": 3.0}


def test_tensors_with_several_elements_are_refused_by_name():
    with pytest.raises(InvalidType, match=r"'x' is a tensor of shape \(3,\): expected one element"):
        running({"x": torch.ones(3)}).means()


def test_what_is_no_number_is_refused_by_name():
    with pytest.raises(InvalidType, match="the metric 'x' is a str: expected a number"):
        running({"x": "high"}).means()


def test_a_round_trip_of_the_state_goes_on_with_the_mean():
    before, after = running({"x": 1.0}, {"y": torch.tensor(2.0)}), RunningMeans()
    after.load_state_dict(before.state_dict())
    after.add({"x": 3.0})
    assert after.numbers() == {"x": 2.0, "y": 2.0}


@pytest.mark.parametrize("steps", [1, 2, 256, 257, 700])
def test_vectors_count_as_their_entries_do_however_many_there_are(steps):
    values = torch.rand(steps, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    means = running({"a": 1.0})
    for value in values:
        means.add_vector(("a", "b"), value)
    assert means
    found = means.numbers()
    assert found["a"] == pytest.approx((1.0 + values[:, 0].sum().item()) / (steps + 1))
    assert found["b"] == pytest.approx(values[:, 1].mean().item())
    means.clear()
    assert not means
    assert means.numbers() == {}


def test_vectors_of_other_names_may_follow():
    means = RunningMeans()
    means.add_vector(("a", "b"), torch.tensor([1.0, 2.0], dtype=torch.float64))
    means.add_vector(("b",), torch.tensor([4.0], dtype=torch.float64))
    assert means.numbers() == {"a": 1.0, "b": 3.0}


def test_of_vectors_only_so_many_are_kept():
    means, vectors = RunningMeans(), [torch.ones(1, dtype=torch.float64) for _ in range(600)]
    first = weakref.ref(vectors[0])
    while vectors:
        means.add_vector(("a",), vectors.pop(0))
    assert first() is None
    assert means.numbers() == {"a": 1.0}
