"""Settings of PPO, checked when they are made."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hookrl.configs import EvaluationConfig, NetworkConfig, PPOConfig
from hookrl.errors import InvalidType, InvalidValue


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_frames", 0),
        ("num_envs", 0),
        ("minibatches", 0),
        ("minibatches", 100_000),
        ("seed", -1),
        ("gamma", 1.1),
        ("gamma", float("nan")),
        ("clip_epsilon", 0.0),
        ("clip_value", -0.2),
        ("max_grad_norm", 0),
        ("learning_rate", -1e-3),
        ("loss_critic_type", "l3"),
        ("env", ""),
    ],
)
def test_value_out_of_bounds_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"^{field}=.* in PPOConfig: expected"):
        PPOConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_frames", 1.5),
        ("seed", True),
        ("gamma", "0.9"),
        ("overwrite", 1),
        ("env", None),
        ("env_kwargs", [1]),
        ("network", {"hidden_sizes": [8]}),
    ],
)
def test_value_of_the_wrong_type_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidType, match=f"^{field}=.* in PPOConfig: expected"):
        PPOConfig(**{field: value})


def test_hidden_sizes_are_a_tuple_whatever_they_came_as() -> None:
    assert NetworkConfig(hidden_sizes=[8, 8]).hidden_sizes == (8, 8)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [(0,), (8.0,), (True,)])
def test_hidden_size_that_is_no_count_is_refused(sizes: Any) -> None:
    with pytest.raises(InvalidValue, match=r"hidden_sizes=.* in NetworkConfig"):
        NetworkConfig(hidden_sizes=sizes)


def test_zero_evaluation_episodes_are_refused() -> None:
    with pytest.raises(InvalidValue, match="episodes=0 in EvaluationConfig"):
        EvaluationConfig(episodes=0)


def test_two_configs_share_no_defaults() -> None:
    first, second = PPOConfig(), PPOConfig()
    first.env_kwargs["gravity"] = 1.0
    assert second.env_kwargs == {}


def test_copy_with_changes_is_checked_too() -> None:
    with pytest.raises(InvalidValue):
        dataclasses.replace(PPOConfig(), gamma=2.0)
