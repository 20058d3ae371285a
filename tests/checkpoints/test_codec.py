"""The codec: everything a state may hold comes back as it was, and nothing else is taken."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import weakref
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from faults.malice_torch import SKELETONS
from hypothesis import given, settings
from hypothesis import strategies as st
from states import DTYPES, assert_same, states

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidType, InvalidValue


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
        (torch.zeros(2, device="meta"), "Tensor"),
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


@pytest.mark.parametrize("key", [frozenset(), b"", torch.ones(()), (1, b"")], ids=repr)
def test_an_unsupported_key_is_refused(key: Any) -> None:
    with pytest.raises(InvalidType, match="the state at /a has a .* for a key: expected a plain"):
        encode({"a": {key: 1}})


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_a_quantized_tensor_is_refused() -> None:
    quantized = torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)
    with pytest.raises(InvalidType, match="the state at /a is a Tensor: expected a dense tensor"):
        encode({"a": quantized})


def test_a_tensor_of_a_wrapping_class_is_named() -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    with pytest.raises(InvalidType, match="the state at /a is a NestedTensor"):
        encode({"a": nested})


def test_conjugation_and_negation_that_are_put_off_are_done() -> None:
    value = torch.tensor([1 + 2j, 3 - 4j])
    assert_same(decode(*encode(value.conj())), torch.tensor([1 - 2j, 3 + 4j]))
    assert_same(decode(*encode(value.conj().imag)), torch.tensor([-2.0, 4.0]))


def test_several_keys_that_are_nan_stay_apart() -> None:
    state = {math.nan: 1, float("nan"): 2, (float("nan"),): 3}
    assert [*decode(*encode(state)).values()] == [1, 2, 3]


def test_a_state_that_contains_itself_is_an_error() -> None:
    state: dict[str, Any] = {"name": "a"}
    state["self"] = state
    with pytest.raises(InvalidValue) as caught:
        encode(state)
    assert str(caught.value) == (
        "the state at /self/self/self/self/self/self/self/self… is nested deeper than the 100 "
        "levels that a checkpoint can hold: does it contain itself?"
    )


def test_what_is_nested_as_deep_as_allowed_comes_back() -> None:
    state: Any = torch.ones(())
    for _ in range(100):
        state = [state]
    assert_same(decode(*encode(state)), state)
    with pytest.raises(InvalidValue, match="nested deeper"):
        encode([state])


def test_an_integer_of_thousands_of_digits_is_an_error() -> None:
    with pytest.raises(InvalidValue, match="the state has a value that cannot be stored"):
        encode({"a": 10**5000})


# ---------------------------------------------------------------- skeletons of another origin


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_malformed_skeleton_is_refused(skeleton: str) -> None:
    with pytest.raises(InvalidValue, match=r"\A[^\n]*\.\Z"):
        decode(skeleton, {"t0": torch.ones(2)})


@pytest.mark.parametrize("skeleton", [None, 1, b"1", ["1"], {"list": []}], ids=repr)
def test_a_skeleton_that_is_no_text_is_refused(skeleton: Any) -> None:
    with pytest.raises(InvalidValue, match="the skeleton of the state is a .*: expected text"):
        decode(skeleton, {})


def test_the_text_says_what_is_wrong() -> None:
    with pytest.raises(InvalidValue) as caught:
        decode('{"dict": [["a", {"tensor": "t1"}]]}', {"t0": torch.ones(2)})
    assert str(caught.value) == (
        "the skeleton of the state has a reference to 't1', which is no tensor of its own."
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["t0", "a", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tensor", "list", "tuple", "dict", "other"]), inner, max_size=2
        )
    ),
)


@given(json_values)
def test_any_json_is_either_a_state_or_refused(value: Any) -> None:
    with contextlib.suppress(InvalidValue):
        state = decode(json.dumps(value), {"t0": torch.ones(2)})
        assert_same(decode(*encode(state)), state)


def test_what_was_encoded_is_gone_with_its_last_user() -> None:
    gc.disable()
    try:
        kept = weakref.ref(encode({"a": [torch.zeros(3)]})[1]["t0"])
        assert kept() is None
    finally:
        gc.enable()
