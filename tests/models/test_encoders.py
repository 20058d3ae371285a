"""From observations of any supported space to one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from hookrl.models import NatureCNN, encoder_for

LEAVES = [
    spaces.Box(-1, 1, (3,)),
    spaces.Box(-1, 1, (), dtype=np.float64),
    spaces.Box(0, 9, (2, 3), dtype=np.int32),
    spaces.Box(0, 255, (5,), dtype=np.uint8),
    spaces.Discrete(4),
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 2]]), start=np.array([[0, 1], [-2, 0]])),
]


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.text("ab.", min_size=1, max_size=3)
    return st.dictionaries(keys, leaf, min_size=1, max_size=3).map(spaces.Dict)


def as_tensors(sample: Any, leading: tuple[int, ...]) -> Any:
    if isinstance(sample, dict):
        return {name: as_tensors(part, leading) for name, part in sample.items()}
    array = torch.as_tensor(np.asarray(sample))
    return array.expand((*leading, *array.shape))


@given(st.recursive(st.sampled_from(LEAVES), nested, max_leaves=5), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_every_supported_space_is_encoded_to_out_features(space: Any, seed: int) -> None:
    space.seed(seed)
    encoder = encoder_for(space)
    sample = space.sample()
    for leading in ((), (4,), (2, 3)):
        vector = encoder(as_tensors(sample, leading))
        assert vector.shape == (*leading, encoder.out_features)
        assert vector.dtype == torch.float32


@given(st.sampled_from(LEAVES[4:]), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_categories_agree_with_gymnasiums_own_flattening(space: Any, seed: int) -> None:
    space.seed(seed)
    sample = space.sample()
    encoded = encoder_for(space)(torch.as_tensor(np.asarray(sample))[None])[0]
    if isinstance(space, spaces.Discrete):
        assert encoded.tolist() == np.asarray(spaces.flatten(space, sample)).tolist()
    else:
        hot = np.cumsum([0, *space.nvec.flat])[:-1] + (sample - space.start).ravel()
        assert encoded.nonzero().flatten().tolist() == hot.tolist()


def test_discrete_start_is_respected() -> None:
    encoder = encoder_for(spaces.Discrete(3, start=5))
    assert encoder(torch.tensor([5, 7])).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_dict_is_concatenated_in_the_order_of_the_space() -> None:
    space = spaces.Dict([("z", spaces.Box(0, 1, (2,))), ("a", spaces.Discrete(2))])
    observation = {"a": torch.tensor([1]), "z": torch.tensor([[0.25, 0.5]])}
    assert encoder_for(space)(observation).tolist() == [[0.25, 0.5, 0, 1]]


def test_tensordict_and_mapping_give_the_same() -> None:
    space = spaces.Dict({"a": spaces.Dict({"b": spaces.Box(0, 1, (2,))})})
    observation = {"a": {"b": torch.rand(3, 2)}}
    encoder = encoder_for(space)
    assert torch.equal(encoder(observation), encoder(TensorDict(observation, [3])))


def test_images_get_the_convolutional_network() -> None:
    space = spaces.Box(0, 255, (36, 36, 3), dtype=np.uint8)
    assert isinstance(encoder_for(space), NatureCNN)


def test_images_inside_a_dict_are_joined_with_the_rest() -> None:
    image = spaces.Box(0, 255, (36, 36, 3), dtype=np.uint8)
    space = spaces.Dict({"image": image, "speed": spaces.Box(0, 1, (2,))})
    assert encoder_for(space).out_features == 514


@pytest.mark.parametrize(
    "space",
    [
        spaces.Tuple([spaces.Discrete(2)]),
        spaces.Text(5),
        spaces.MultiBinary(3),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.Graph(spaces.Discrete(2), None),
        spaces.Dict(),
    ],
)
def test_unsupported_space_is_named_with_its_place(space: Any) -> None:
    outer = spaces.Dict({"ok": spaces.Discrete(2), "goal": space})
    with pytest.raises(TypeError, match=r"observation\['goal'\] is .*supported are Box, Discrete"):
        encoder_for(outer)
