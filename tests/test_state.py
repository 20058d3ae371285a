"""State: attributes in and out, seeds by name, the process-wide generators."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hookrl import checkpoints
from hookrl.errors import MissingKey
from hookrl.state import (
    Seeds,
    Stateful,
    generators_state,
    integer_seed,
    load_generators_state,
    restored,
    same_keys,
    seed_process,
    snapshot,
)

# ---------------------------------------------------------------- attributes


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.float64(0.1),
        torch.arange(3.0, dtype=torch.float64),
        [1, {"a": (2.5, None)}],
        "text",
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_restored_attribute_is_what_was_snapshot(value: Any) -> None:
    back = restored(snapshot(value), value)
    assert getattr(back, "dtype", None) == getattr(value, "dtype", None) or isinstance(back, float)
    np.testing.assert_array_equal(np.asarray(back, object), np.asarray(value, object))


@pytest.mark.parametrize("value", [np.zeros(3), torch.zeros(3), [0.0, 0.0, 0.0]], ids=repr)
def test_a_snapshot_does_not_follow_its_attribute(value: Any) -> None:
    taken = snapshot(value)
    value[0] = 1.0
    assert taken[0] == 0


@pytest.mark.parametrize("like", [np.zeros(3), torch.zeros(3)], ids=["numpy", "torch"])
def test_a_restored_attribute_shares_no_memory_with_the_state(like: Any) -> None:
    state = torch.zeros(3)
    back = restored(state, like)
    back[0] = 1.0
    assert not state.any()


def test_a_restored_attribute_has_the_type_of_the_one_it_replaces() -> None:
    state = torch.zeros(3, dtype=torch.float64)
    assert restored(state, torch.zeros(3)).dtype == torch.float32
    assert restored(state, np.zeros(3, np.float32)).dtype == np.float32


def test_a_snapshot_of_a_parameter_needs_no_gradient() -> None:
    assert not snapshot(torch.nn.Parameter(torch.zeros(3))).requires_grad


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.Philox, np.random.MT19937])
def test_a_restored_generator_goes_on_with_the_same_numbers(kind: Any) -> None:
    generator = np.random.Generator(kind(3))
    generator.random(5, dtype=np.float32)
    state = snapshot(generator)
    expected = generator.random(10)
    other = restored(state, np.random.Generator(kind(4)))
    np.testing.assert_array_equal(other.random(10), expected)


def test_matching_keys_are_accepted_in_any_order() -> None:
    for state in ({"b": 1, "a": 2}, {"a": 2, "b": 1}):
        same_keys(state, ["a", "b"], owner="Thing")
        with pytest.raises(MissingKey):  # so that it would have told
            same_keys(state, ["a"], owner="Thing")


def test_keys_that_do_not_match_are_all_named() -> None:
    with pytest.raises(MissingKey) as caught:
        same_keys({"a": 1, "x": 2}, ["a", "b", "c"], owner="Thing")
    assert str(caught.value) == "the state for Thing lacks 'b', 'c' and has unexpected 'x'."


def test_modules_and_optimizers_are_stateful() -> None:
    layer = torch.nn.Linear(1, 1)
    assert isinstance(layer, Stateful)
    assert isinstance(torch.optim.SGD(layer.parameters()), Stateful)
    assert not isinstance(object(), Stateful)


# ---------------------------------------------------------------- seeds by name

names = st.text(max_size=20)
seeds = st.integers(0, 2**64)


@given(seed=seeds, name=names, others=st.lists(names, max_size=5))
def test_a_names_stream_does_not_depend_on_who_asked_before(
    seed: int, name: str, others: list[str]
) -> None:
    alone, in_company = Seeds(seed), Seeds(seed)
    for other in others:
        in_company.numpy(other).random()
        in_company.torch(other)
    assert in_company.numpy(name).integers(2**63) == alone.numpy(name).integers(2**63)
    assert in_company.torch(name).initial_seed() == alone.torch(name).initial_seed()


@given(seed=seeds, found=st.lists(names, min_size=2, max_size=6, unique=True))
def test_different_names_have_different_streams(seed: int, found: list[str]) -> None:
    tree = Seeds(seed)
    for draw in (
        [tree.numpy(name).integers(2**63) for name in found],
        [tree.torch(name).initial_seed() for name in found],
    ):
        assert len(set(draw)) == len(found)


@given(found=st.lists(seeds, min_size=2, max_size=6, unique=True), name=names)
def test_different_seeds_have_different_streams(found: list[int], name: str) -> None:
    assert len({Seeds(seed).numpy(name).integers(2**63) for seed in found}) == len(found)


def test_without_a_seed_two_trees_differ() -> None:
    assert Seeds().numpy("a").integers(2**63) != Seeds().numpy("a").integers(2**63)


def test_without_a_seed_one_tree_agrees_with_itself() -> None:
    tree = Seeds()
    assert tree.numpy("a").integers(2**63) == tree.numpy("a").integers(2**63)


def test_integer_seeds_fit_what_libraries_take() -> None:
    found = [integer_seed(np.random.SeedSequence(seed)) for seed in range(200)]
    assert all(0 <= seed < 2**63 for seed in found)
    assert len(set(found)) == 200


# ---------------------------------------------------------------- the process

DRAWS: dict[str, Any] = {
    "python": lambda: [random.random(), random.gauss(0, 1)],
    "numpy": lambda: [np.random.random(), np.random.standard_normal()],
    "torch": lambda: torch.rand(3).tolist(),
}
every_generator = pytest.mark.parametrize("library", DRAWS)


@pytest.fixture(autouse=True)
def _leave_the_process_as_it_was() -> Any:
    state = generators_state()
    yield
    load_generators_state(state)


@every_generator
def test_seeding_the_process_decides_what_is_drawn(library: str) -> None:
    draws = []
    for seed in (0, 0, 1):
        seed_process(np.random.SeedSequence(seed))
        draws.append(DRAWS[library]())
    assert draws[0] == draws[1] != draws[2]


@every_generator
def test_restored_generators_go_on_with_the_same_numbers(library: str) -> None:
    # An odd number of Gaussian draws: both libraries keep the second of each pair for later.
    random.gauss(0, 1)
    np.random.standard_normal()
    state = generators_state()
    expected = [DRAWS[library]() for _ in range(3)]
    load_generators_state(state)
    assert [DRAWS[library]() for _ in range(3)] == expected


@every_generator
@pytest.mark.parametrize("backend", checkpoints.BACKENDS)
def test_generators_survive_a_checkpoint(library: str, backend: str, tmp_path: Any) -> None:
    random.gauss(0, 1)
    np.random.standard_normal()
    checkpoints.save(generators_state(), tmp_path / "generators", backend)
    expected = DRAWS[library]()
    load_generators_state(checkpoints.load(tmp_path / "generators"))
    assert DRAWS[library]() == expected
