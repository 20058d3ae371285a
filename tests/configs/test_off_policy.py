"""Settings of DQN and both forms of SAC, checked when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from hookrl.configs import (
    DiscreteSACConfig,
    DQNConfig,
    OffPolicyConfig,
    PerceptronConfig,
    ReplayConfig,
    SACConfig,
)
from hookrl.errors import InvalidType, InvalidValue

EVERY: list[tuple[str, Any]] = [
    ("train_frequency", 0),
    ("gradient_steps", 0),
    ("gamma", 1.1),
    ("tau", 0.0),
    ("tau", 1.1),
    ("loss_function", "l1"),
    ("learning_rate", 0.0),
    ("max_grad_norm", 0.0),
]
SOFT: list[tuple[str, Any]] = [("alpha", 0.0)]
BOUNDS: dict[type[OffPolicyConfig], list[tuple[str, Any]]] = {
    DQNConfig: [
        *EVERY,
        ("target_interval", 0),
        ("epsilon_start", 1.1),
        ("epsilon_end", -0.1),
        ("exploration_fraction", 0.0),
    ],
    SACConfig: [*EVERY, *SOFT],
    DiscreteSACConfig: [
        *EVERY,
        *SOFT,
        ("target_interval", 0),
        ("target_entropy_scale", -0.1),
        ("target_entropy_scale", 1.1),
    ],
}
KINDS: dict[type[OffPolicyConfig], list[tuple[str, Any]]] = {
    DQNConfig: [("double", 1), ("dueling", "yes"), ("replay", {}), ("network", {})],
    SACConfig: [("learn_alpha", 1), ("alpha", "1")],
    DiscreteSACConfig: [("learn_alpha", None), ("alpha", True), ("target_interval", 1.5)],
}


def flat(
    cases: dict[type[OffPolicyConfig], list[tuple[str, Any]]],
) -> list[tuple[type[OffPolicyConfig], str, Any]]:
    return [(config_type, *case) for config_type, listed in cases.items() for case in listed]


@pytest.mark.parametrize(("config_type", "field", "value"), flat(BOUNDS))
def test_value_out_of_bounds_is_refused(config_type: Any, field: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"^{field}=.* in {config_type.__name__}.* expected"):
        config_type(**{field: value})


@pytest.mark.parametrize(("config_type", "field", "value"), flat(KINDS))
def test_value_of_the_wrong_type_is_refused(config_type: Any, field: str, value: Any) -> None:
    with pytest.raises(InvalidType, match=f"^{field}=.* in {config_type.__name__}: expected"):
        config_type(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("capacity", 0), ("batch_size", 0), ("batch_size", 2_000_000), ("learning_starts", -1)],
        *[("n_step", 0), ("beta", 1.1)],
    ],
)
def test_replay_out_of_bounds_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"^{field}=.* in ReplayConfig: expected"):
        ReplayConfig(**{field: value})


def test_the_defaults_of_discrete_sac_are_the_published_ones() -> None:
    config = DiscreteSACConfig()
    assert config.replay == ReplayConfig(
        capacity=1_000_000, batch_size=64, learning_starts=20_000, n_step=1, prioritized=False
    )
    assert (config.train_frequency, config.gradient_steps) == (4, 1)
    assert config.train_frequency * config.target_interval == 8000
    assert (config.gamma, config.tau, config.learning_rate) == (0.99, 1.0, 3e-4)
    assert (config.alpha, config.target_entropy_scale) == (1.0, 0.98)
    assert config.network == PerceptronConfig(hidden_sizes=(256, 256), activation="relu")
