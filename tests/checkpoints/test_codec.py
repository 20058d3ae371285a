"""The codec: everything a state may hold comes back as it was, and nothing else is taken."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from states import DTYPES, assert_same, states

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidType


@settings(deadline=None)
@given(states)
def test_a_state_comes_back_as_it_was(state: Any) -> None:
    assert_same(decode(*encode(state)), state)


@given(states)
def test_the_skeleton_is_plain_json(state: Any) -> None:
    skeleton, _ = encode(state)
    json.loads(skeleton)
    assert skeleton.isascii()


@pytest.mark.parametrize(
    "value",
    [2**127 + 1, -(2**127), 0.1 + 0.2, -0.0, 5e-324, math.inf, -math.inf, "é\ud800\n\0", True],
    ids=repr,
)
def test_a_plain_value_comes_back_exactly(value: Any) -> None:
    back = decode(*encode([value]))[0]
    assert type(back) is type(value)
    assert back == value
    assert math.copysign(1, back) == math.copysign(1, value) if value == 0 else True


def test_nan_comes_back_as_nan() -> None:
    assert math.isnan(decode(*encode({"loss": math.nan}))["loss"])


def test_keys_of_any_plain_kind_stay_apart() -> None:
    state = {"1": "a", 1: "b", 2.5: "c", None: "d", (1, ("x", None)): "e", False: "f"}
    assert_same(decode(*encode(state)), state)


def test_the_order_of_keys_survives() -> None:
    state = {"z": 0, "a": 1, 3: 2}
    assert [*decode(*encode(state))] == ["z", "a", 3]


def test_tuples_and_lists_stay_apart() -> None:
    assert_same(decode(*encode([(), [], ([],), [()]])), [(), [], ([],), [()]])


def test_a_mapping_that_looks_like_a_reference_stays_a_mapping() -> None:
    state = {"tensor": "t0", "dict": [["list", 1]]}
    assert_same(decode(*encode(state)), state)


def test_special_containers_become_plain_ones() -> None:
    point = namedtuple("point", "x y")
    state = {"o": OrderedDict(a=1), "p": point(1, 2), "s": torch.Size([2, 3])}
    assert_same(decode(*encode(state)), {"o": {"a": 1}, "p": (1, 2), "s": (2, 3)})


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_keep_type_and_bits(dtype: torch.dtype) -> None:
    tensor = torch.arange(5).to(dtype)
    assert_same(decode(*encode(tensor)), tensor)


def test_tensors_are_referred_to_not_copied() -> None:
    tensor = torch.zeros(3)
    _, tensors = encode({"a": tensor})
    assert next(iter(tensors.values())).data_ptr() == tensor.data_ptr()


def test_parameters_come_back_without_gradient() -> None:
    back = decode(*encode(torch.nn.Parameter(torch.ones(2))))
    assert type(back) is torch.Tensor
    assert not back.requires_grad


def test_optimizer_state_comes_back_as_it_was() -> None:
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    assert_same(decode(*encode(state)), state)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.zeros(3), "ndarray"),
        ({1, 2}, "set"),
        (b"x", "bytes"),
        (1j, "complex"),
        (object(), "object"),
        (len, "builtin_function_or_method"),
        (torch.zeros(2, 2).to_sparse(), "Tensor"),
        (torch.Generator(), "Generator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unsupported_value_is_named_with_its_place(value: Any, name: str) -> None:
    with pytest.raises(InvalidType) as caught:
        encode({"hooks": {"ppo": [0, value]}})
    assert str(caught.value) == (
        f"the state at /hooks/ppo/1 is a {name}: expected a dense tensor, a plain value, or a "
        "list, tuple or mapping of those."
    )


def test_an_unsupported_state_as_a_whole_is_named_too() -> None:
    with pytest.raises(InvalidType, match="the state at / is a set"):
        encode(set())


def test_an_unsupported_key_is_refused() -> None:
    with pytest.raises(InvalidType, match="the state at /a is a frozenset"):
        encode({"a": {frozenset(): 1}})
