"""Whatever an attribute holds comes out of a checkpoint as it went in."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from midway import through_a_checkpoint
from states import assert_same, tensors

from hookrl.envs.snapshots.values import Unpackable, pack, same, unpack
from hookrl.errors import InvalidValue


def out_and_in(value: Any) -> Any:
    return unpack(through_a_checkpoint(pack(value)))


numbers = (
    arrays.floating_dtypes(endianness="?")
    | arrays.integer_dtypes(endianness="?")
    | arrays.unsigned_integer_dtypes(endianness="?")
    | arrays.boolean_dtypes()
    | arrays.complex_number_dtypes(endianness="?")
)
any_array = arrays.arrays(
    numbers | arrays.unicode_string_dtypes() | arrays.datetime64_dtypes() | arrays.array_dtypes(),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.lists(inner, max_size=3).map(lambda items: deque(items, maxlen=4))
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.dictionaries(st.tuples(st.integers()), inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=6,
)


@given(values)
def test_values_and_containers(value: Any) -> None:
    found = out_and_in(value)
    assert repr(found) == repr(value)
    assert type(found) is type(value)


@given(any_array, st.booleans())
def test_arrays_keep_type_order_and_bits(array: np.ndarray, transposed: bool) -> None:
    array = array.T if transposed else array
    found = out_and_in(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes("A") == np.array(array, order="K").tobytes("A")
    assert found.flags.writeable


def test_the_axes_of_an_array_stay_in_the_order_in_which_they_lie_in_memory() -> None:
    array = np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2)
    found = out_and_in(array)
    np.testing.assert_array_equal(found, array)
    assert found.strides == array.strides


@pytest.mark.parametrize(
    "scalar",
    [
        *(np.float32(0.1), np.float64(0.1), np.float16(0.1), np.longdouble(0.1), np.int64(3)),
        *(np.uint64(2**64 - 1), np.bool_(True), np.datetime64("2026-01-02"), np.bytes_(b"x")),
    ],
    ids=lambda scalar: type(scalar).__name__,
)
def test_numpy_scalars_keep_their_type(scalar: np.generic) -> None:
    found = out_and_in(scalar)
    assert (type(found), found.dtype, found) == (type(scalar), scalar.dtype, scalar)


def test_records_keep_their_fields() -> None:
    array = np.array([(1.5, (1, 2))], dtype=[("a", "f8"), ("b", "i2", (2,))])
    found = out_and_in(array)
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


@given(tensors())
def test_tensors_keep_type_and_bits(tensor: torch.Tensor) -> None:
    assert_same(out_and_in(tensor), tensor)


GENERATORS: dict[str, Any] = {
    **{
        name: lambda name=name: np.random.Generator(getattr(np.random, name)(7))
        for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
    },
    "RandomState": lambda: np.random.RandomState(7),
    "RandomState of PCG64": lambda: np.random.RandomState(np.random.PCG64(7)),
    "Random": lambda: random.Random(7),
    "torch": lambda: torch.Generator().manual_seed(7),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_go_on(name: str) -> None:
    generator = GENERATORS[name]()

    def draw(of: Any) -> Any:
        if isinstance(of, torch.Generator):
            return torch.rand(3, generator=of).tolist()
        if isinstance(of, random.Random):
            return [of.random(), of.gauss(0, 1), of.gauss(0, 1)]
        return [of.normal(), of.random(), of.integers(9) if hasattr(of, "integers") else of.rand()]

    draw(generator)
    found = out_and_in(generator)
    assert type(found) is type(generator)
    assert [draw(found) for _ in range(3)] == [draw(generator) for _ in range(3)]


def test_a_generator_spawns_the_children_that_it_would_have_spawned() -> None:
    generator = np.random.default_rng(3)
    generator.spawn(2)
    found = out_and_in(generator)
    assert found.spawn(1)[0].random() == generator.spawn(1)[0].random()


def test_one_thing_referred_to_twice_stays_one_thing() -> None:
    array, rng = np.zeros(2), np.random.default_rng(0)
    shared = [array]
    value = {"a": shared, "b": [shared, array], "rng": rng, "of": (rng,), "q": deque([shared])}
    found = out_and_in(value)
    assert found["a"] is found["b"][0] is found["q"][0]
    assert found["a"][0] is found["b"][1]
    assert found["rng"] is found["of"][0]


def test_a_list_that_contains_itself() -> None:
    value: list[Any] = [1]
    value.append(value)
    found = out_and_in(value)
    assert found[1] is found


def test_what_comes_out_shares_no_memory_with_what_went_in() -> None:
    array = np.zeros(2)
    packed = pack([array])
    array += 1
    assert unpack(packed)[0].tolist() == [0, 0]
    unpack(packed)[0][:] = 5
    assert unpack(packed)[0].tolist() == [0, 0]


ARRAY = np.arange(4.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"seen": [{1}]}, "seen[0] is a builtins.set, which no snapshot can hold"),
        (object(), "it is a builtins.object, which no snapshot can hold"),
        ({"x": np.array([None])}, "x is an array of Python objects"),
        ([ARRAY[:2], ARRAY[2:]], "[1] shares its memory with another array"),
        ([ARRAY, torch.from_numpy(ARRAY)], "[1] shares its memory with another array"),
        (torch.ones(2, requires_grad=True), "it is a sparse tensor, or one that requires gradi"),
        (random.SystemRandom(), "it is a random.SystemRandom, which no snapshot can hold"),
        ({(1, 2): iter([])}, "[(1, 2)] is a builtins.list_iterator, which no snapshot can hold"),
    ],
    ids=["set", "object", "objects", "views", "views of both", "gradients", "system", "iterator"],
)
def test_what_cannot_be_held_is_located(value: Any, message: str) -> None:
    with pytest.raises(Unpackable) as caught:
        pack(value)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "damaged",
    [
        *(("unknown", 1), ("same", 3), ("array", None), ("raw array", None, "O", [1], ARRAY)),
        ("generator", "numpy", {"state": {"bit_generator": "Popen"}, "seed_sequence": None}),
        *(object(), ("tensor", "no device", torch.ones(1)), ()),
    ],
    ids=lambda damaged: str(damaged)[:9],  # an object says where it lies
)
def test_what_is_damaged_is_refused(damaged: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^a snapshot is damaged \(.*\): expected what `take`"):
        unpack(damaged)


@given(values | any_array)
def test_a_value_is_the_same_as_itself(value: Any) -> None:
    assert same(pack(value), through_a_checkpoint(pack(value)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (1, 1.0),
        (1, True),
        ([1], (1,)),
        (np.float32(1), np.float64(1)),
        (np.zeros(2), -np.zeros(2)),
        (np.zeros((1, 2)), np.zeros((2, 1))),
        ({"a": 1}, {"a": 1, "b": 2}),
    ],
    ids=str,
)
def test_what_differs_in_type_or_bits_is_not_the_same(one: Any, other: Any) -> None:
    assert not same(pack(one), pack(other))


def test_nan_is_the_same_as_nan() -> None:
    assert same(pack([np.nan, np.full(2, np.nan)]), pack([np.nan, np.full(2, np.nan)]))
