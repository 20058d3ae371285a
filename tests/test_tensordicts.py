"""TensorDicts that nobody looks at are like those that somebody did."""

from __future__ import annotations

import torch
from tensordict import TensorDict, assert_close

from hookrl.tensordicts import assembled


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
