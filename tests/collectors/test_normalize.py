"""Observation normalisation: the statistics, what they do, and their state."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from counting import PLANS, CountingEnv, sync_env
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st

from hookrl.collectors import ObservationNormalizer, VectorCollector
from hookrl.collectors.normalize import RunningMoments
from hookrl.errors import InvalidValue, MissingKey

BOX = spaces.Box(-np.inf, np.inf, (3,))
DICT = spaces.Dict({"x": BOX, "camera": spaces.Box(0, 255, (2, 2), np.uint8)})


def stream(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal([100, -1, 0], [1, 20, 0.1], (*shape, 3))


def fed(normalizer: ObservationNormalizer, batches: np.ndarray) -> ObservationNormalizer:
    for batch in batches:
        normalizer(batch)
    return normalizer


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_moments_are_those_of_everything_seen_however_it_was_cut(
    sizes: list[int], seed: int
) -> None:
    everything = stream(sum(sizes), seed=seed)
    moments = RunningMoments((3,))
    for part in np.split(everything, np.cumsum(sizes)[:-1]):
        moments.update(part)
    # It starts from 1e-4 imaginary observations with mean 0 and variance 1.
    count = len(everything) + 1e-4
    mean = everything.sum(0) / count
    second_moment = ((everything**2).sum(0) + 1e-4) / count
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(moments.variance, second_moment - mean**2, rtol=1e-6)


def test_moments_equal_gymnasiums() -> None:
    moments, gymnasiums = RunningMoments((3,)), gym.wrappers.utils.RunningMeanStd(shape=(3,))
    for batch in stream(50, 4):
        moments.update(batch)
        gymnasiums.update(batch)
    np.testing.assert_allclose(moments.mean, gymnasiums.mean, rtol=1e-12)
    np.testing.assert_allclose(moments.variance, gymnasiums.var, rtol=1e-12)
    assert moments.count == pytest.approx(gymnasiums.count, rel=1e-12)


def test_a_collector_normalises_as_gymnasiums_wrapper_does() -> None:
    normalizer = ObservationNormalizer(CountingEnv.observation_space)
    env = sync_env(AutoresetMode.NEXT_STEP)
    batch = VectorCollector(env, frames_per_batch=60, transform=normalizer, seed=0).collect()
    wrapped = gym.wrappers.vector.NormalizeObservation(sync_env(AutoresetMode.NEXT_STEP))
    rows = [wrapped.reset()[0]]
    rows += [wrapped.step(np.zeros(len(PLANS), int))[0] for _ in range(20)]
    expected = np.clip(np.stack(rows, axis=1), -10, 10)
    np.testing.assert_allclose(batch["observation"], expected[:, :-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(batch["next", "observation"], expected[:, 1:], rtol=1e-5, atol=1e-6)


def test_normalised_observations_have_mean_0_and_variance_1() -> None:
    normalizer = fed(ObservationNormalizer(BOX), stream(500, 4))
    scaled = normalizer.frozen(stream(5000, seed=1))
    np.testing.assert_allclose(scaled.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(scaled.std(0), 1, atol=0.1)
    assert scaled.dtype == np.float32


def test_observations_are_normalised_by_statistics_that_include_them() -> None:
    normalizer, frozen = ObservationNormalizer(BOX), ObservationNormalizer(BOX)
    batch = stream(4)
    seen = normalizer(batch)
    np.testing.assert_array_equal(seen, normalizer.frozen(batch))
    assert (seen != frozen.frozen(batch)).any()


def test_normalised_observations_are_clipped() -> None:
    normalizer = fed(ObservationNormalizer(BOX, clip=2.0), stream(10, 4))
    assert normalizer.frozen(np.array([[1e9, -1e9, 0]])).tolist()[0][:2] == [2, -2]


def test_frozen_statistics_do_not_move() -> None:
    normalizer = fed(ObservationNormalizer(BOX), stream(10, 4))
    before = normalizer.frozen(stream(4))
    normalizer.frozen(1e6 * stream(100))
    np.testing.assert_array_equal(normalizer.frozen(stream(4)), before)


def test_the_observation_itself_is_not_changed() -> None:
    batch = stream(4)
    ObservationNormalizer(BOX)(batch)
    np.testing.assert_array_equal(batch, stream(4))


def test_images_pass_unchanged_beside_what_is_normalised() -> None:
    camera = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    seen = ObservationNormalizer(DICT)({"x": stream(2), "camera": camera})
    np.testing.assert_array_equal(seen["camera"], camera)
    assert seen["camera"].dtype == np.uint8
    assert (np.abs(seen["x"]) <= 10).all()


def test_tensors_are_normalised_to_tensors_of_the_same_values() -> None:
    batch = stream(4)
    array = ObservationNormalizer(BOX)(batch)
    tensor = ObservationNormalizer(BOX)(torch.from_numpy(batch))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.tolist() == array.tolist()


@pytest.mark.parametrize("space", [BOX, DICT], ids=["box", "dict"])
def test_a_restored_normaliser_goes_on_bit_for_bit(space: spaces.Space[Any]) -> None:
    def observation(seed: int) -> Any:
        x = stream(4, seed=seed)
        return x if space is BOX else {"x": x, "camera": np.zeros((4, 2, 2), np.uint8)}

    original, restored = ObservationNormalizer(space), ObservationNormalizer(space)
    for seed in range(10):
        original(observation(seed))
    state = original.state_dict()
    original(observation(10))
    restored.load_state_dict(state)
    restored(observation(10))
    for one, other in zip(
        torch.utils._pytree.tree_leaves(original.state_dict()),
        torch.utils._pytree.tree_leaves(restored.state_dict()),
        strict=True,
    ):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


def test_a_state_does_not_change_when_the_normaliser_goes_on() -> None:
    normalizer = fed(ObservationNormalizer(BOX), stream(10, 4))
    state = normalizer.state_dict()
    mean = state["observation"]["mean"].clone()
    normalizer(1e6 * stream(4))
    assert torch.equal(state["observation"]["mean"], mean)


def test_a_state_of_other_observations_is_refused() -> None:
    state = ObservationNormalizer(DICT).state_dict()
    with pytest.raises(
        MissingKey,
        match="ObservationNormalizer lacks 'observation' and has unexpected 'observation/x'",
    ):
        ObservationNormalizer(BOX).load_state_dict(state)


def test_a_state_of_another_shape_is_refused_and_changes_nothing() -> None:
    both = spaces.Dict({"a": BOX, "b": BOX})
    other = spaces.Dict({"a": BOX, "b": spaces.Box(-1, 1, (4,))})
    normalizer, source = ObservationNormalizer(both), ObservationNormalizer(other)
    source({"a": stream(4), "b": np.zeros((4, 4))})
    with pytest.raises(InvalidValue, match=r"has shape \(4,\): expected \(3,\)"):
        normalizer.load_state_dict(source.state_dict())
    assert not normalizer.state_dict()["observation/a"]["mean"].any()


def test_single_numbers_have_moments_with_a_state() -> None:
    moments, other = RunningMoments(()), RunningMoments(())
    moments.update(np.array([1.0, 3.0]))
    other.load_state_dict(moments.state_dict())
    assert other.mean == moments.mean == pytest.approx(2, abs=1e-3)
    assert other.variance.shape == ()
