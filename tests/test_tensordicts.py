"""What is made and read without checks is what it is with them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tensordict import (
    TensorDict,
    TensorDictBase,
    UnbatchedTensor,
    assert_close,
    lazy_stack,
    tensorclass,
)

from hookrl.tensordicts import (
    assembled,
    device_of,
    entry,
    flattened,
    frame_mask,
    items,
    put,
    rows,
)


def test_entries_are_where_the_constructor_puts_them() -> None:
    size = torch.Size((2, 3))
    entries = {
        "observation": {"pixels": torch.zeros(2, 3, 4), "speed": torch.ones(2, 3)},
        "next": {"observation": {"speed": torch.ones(2, 3)}, "reward": torch.ones(2, 3, 1)},
        "done": torch.zeros(2, 3, 1, dtype=torch.bool),
    }
    ours, theirs = assembled(entries, size), TensorDict(entries, batch_size=size)
    assert list(ours.keys(True)) == list(theirs.keys(True))
    assert_close(ours, theirs)
    for path in ((), ("next",), ("next", "observation"), ("observation",)):
        assert (ours[path] if path else ours).batch_size == size
    assert ours["done"].data_ptr() == entries["done"].data_ptr()


def test_it_is_a_tensordict_like_any_other() -> None:
    size = torch.Size((2, 3))
    batch = assembled({"a": torch.arange(6).reshape(2, 3), "b": {"c": torch.ones(2, 3)}}, size)
    assert batch[:, 1]["a"].tolist() == [1, 4]
    assert batch.reshape(-1)["b", "c"].shape == (6,)
    assert batch.set(("b", "d"), torch.zeros(2, 3, 1))["b", "d"].shape == (2, 3, 1)
    assert batch.clone().to("cpu")["b"].batch_size == (2, 3)


@tensorclass
class Pair:
    """Entries that are attributes."""

    left: torch.Tensor
    right: torch.Tensor


def nested() -> TensorDict:
    size = torch.Size((4,))
    entries = {"a": torch.arange(4), "b": {"c": torch.arange(8.0).reshape(4, 2)}}
    return TensorDict(entries, batch_size=size)


every_kind = pytest.mark.parametrize(
    "made", [nested, lambda: lazy_stack(list(nested().unbind(0)))], ids=["plain", "lazy"]
)


@every_kind
def test_entries_are_found_where_get_finds_them(made: Callable[[], TensorDictBase]) -> None:
    batch = made()
    for key in (("a",), ("b", "c")):
        assert torch.equal(entry(batch, key), batch.get(key))
    assert_close(entry(batch, ("b",)), batch["b"])
    for key in (("x",), ("b", "x"), ("a", "x"), ("x", "y", "z")):
        assert entry(batch, key) is None


def test_a_tensorclass_is_asked_for_its_entries() -> None:
    assert entry(Pair(torch.ones(2), torch.zeros(2), batch_size=[2]), ("right",)).tolist() == [0, 0]
    batch = nested()
    batch["b", "deep"] = Pair(torch.ones(4), torch.zeros(4), batch_size=[4])
    assert entry(batch, ("b", "deep", "left")).tolist() == [1, 1, 1, 1]


@every_kind
def test_items_are_those_of_the_first_level(made: Callable[[], TensorDictBase]) -> None:
    batch = made()
    assert [name for name, _ in items(batch)] == list(batch.keys())
    assert torch.equal(dict(items(batch))["a"], batch["a"])


@every_kind
def test_rows_are_what_an_index_gives(made: Callable[[], TensorDictBase]) -> None:
    batch, index = made(), torch.tensor([3, 0, 3])
    chosen = rows(batch, index)
    assert_close(chosen, batch[index])
    assert chosen.batch_size == chosen["b"].batch_size == (3,)
    chosen["a"].zero_()
    assert batch["a"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1), (0, 1), (0, 3), (0, 0), (1, 2)])
def test_rows_of_single_numbers_keep_their_shape(shape: tuple[int, ...]) -> None:
    values = torch.arange(float(math.prod(shape))).reshape(shape)
    batch = TensorDict({"a": values}, batch_size=shape[:1])
    index = torch.arange(shape[0]).flip(0)
    assert_close(rows(batch, index), batch[index])


def test_rows_of_numbers_that_lie_apart() -> None:
    apart = torch.arange(8.0).reshape(4, 2)[:, 1:]
    batch = TensorDict({"a": apart}, batch_size=[4])
    assert rows(batch, torch.tensor([3, 1]))["a"].tolist() == [[7.0], [3.0]]


def test_rows_leave_whole_what_has_none() -> None:
    batch = nested()
    batch["b", "all"] = UnbatchedTensor(torch.arange(10))
    batch["b", "name"] = "text"
    chosen, expected = rows(batch, torch.tensor([1, 2])), batch[torch.tensor([1, 2])]
    assert chosen["a"].tolist() == [1, 2]
    assert chosen["b", "all"].tolist() == expected["b", "all"].tolist() == [*range(10)]
    assert chosen["b", "name"] == "text"


def test_rows_of_a_batch_with_more_dimensions_and_a_device() -> None:
    batch = TensorDict({"a": torch.arange(12).reshape(4, 3)}, batch_size=(4, 3), device="cpu")
    for device in ("cpu", None):
        chosen = rows(batch.to(device) if device else batch.clear_device_(), torch.tensor([2, 1]))
        assert chosen.batch_size == (2, 3)
        assert chosen.device == batch.device
        assert chosen["a"].tolist() == [[6, 7, 8], [3, 4, 5]]


@pytest.mark.parametrize("size", [(), (6,), (2, 3), (2, 3, 1)], ids=str)
def test_flattened_is_reshaped_to_one_dimension(size: tuple[int, ...]) -> None:
    frames = math.prod(size)
    entries = {
        "a": torch.arange(frames).reshape(size),
        "b": torch.arange(4.0 * frames).reshape(*size, 2, 2),
        "c": torch.zeros(*size, 0),
    }
    batch = TensorDict(entries, batch_size=size)
    flat = flattened(batch)
    assert flat.batch_size == (frames,)
    assert_close(flat, batch.reshape(-1))
    assert flat["b"].data_ptr() == batch["b"].data_ptr()


def test_a_batch_without_frames_is_flattened_too() -> None:
    """TensorDict itself cannot."""
    flat = flattened(TensorDict({"a": torch.zeros(0, 3, 2)}, batch_size=(0, 3)))
    assert flat.batch_size == (0,)
    assert flat["a"].shape == (0, 2)


@pytest.mark.parametrize("device", ["cpu", None])
@every_kind
def test_flattened_entries_of_all_kinds(
    made: Callable[[], TensorDictBase], device: str | None
) -> None:
    batch = made().reshape(2, 2)
    batch["b", "name"] = "text"
    batch = batch.to(device) if device else batch
    flat = flattened(batch)
    assert flat.device == batch.device
    assert_close(flat, batch.reshape(-1))
    assert flat["b"].batch_size == (4,)
    assert flat["b", "name"] == batch.reshape(-1)["b", "name"]


def test_what_lies_apart_is_copied_when_it_is_flattened() -> None:
    apart = torch.arange(6).reshape(3, 2).T
    flat = flattened(TensorDict({"a": apart}, batch_size=(2, 3)))
    assert flat["a"].tolist() == [0, 2, 4, 1, 3, 5]


@every_kind
def test_the_device_is_that_of_the_first_tensor(made: Callable[[], TensorDictBase]) -> None:
    assert device_of(made()) == torch.device("cpu")
    assert device_of(made().select("b")) == torch.device("cpu")
    assert device_of(TensorDict({"name": "text", "a": torch.zeros((), device="meta")})) == (
        torch.device("meta")
    )
    assert device_of(TensorDict({"name": "text"})) is None


@every_kind
def test_an_entry_that_is_put_is_there(made: Callable[[], TensorDictBase]) -> None:
    batch = made()
    put(batch, "d", torch.ones(4))
    assert torch.equal(batch["d"], torch.ones(4))
    batch.lock_()
    with pytest.raises(RuntimeError, match="lock"):
        put(batch, "e", torch.ones(4))


def test_the_mask_says_which_frames_count() -> None:
    batch = TensorDict({"a": torch.zeros(1, 3)}, batch_size=(1, 3))
    assert frame_mask(batch) is None
    batch["collector", "mask"] = torch.tensor([[True, False, True]])
    mask = frame_mask(batch)
    assert mask is not None
    assert mask.tolist() == [[True, False, True]]
