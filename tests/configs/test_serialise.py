"""Configs as plain values and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookrl.configs import (
    DiscreteSACConfig,
    DQNConfig,
    NetworkConfig,
    PPOConfig,
    SACConfig,
    from_plain,
    to_plain,
)
from hookrl.errors import InvalidType, MissingKey


def test_config_survives_json() -> None:
    config = PPOConfig(
        gamma=0.9,
        clip_value=None,
        env_kwargs={"sizes": [1, 2]},
        network=NetworkConfig(hidden_sizes=(8,)),
    )
    assert from_plain(PPOConfig, json.loads(json.dumps(to_plain(config)))) == config


@pytest.mark.parametrize("config_type", [PPOConfig, DQNConfig, SACConfig, DiscreteSACConfig])
def test_defaults_survive_json(config_type: type[Any]) -> None:
    config = config_type()
    assert from_plain(config_type, json.loads(json.dumps(to_plain(config)))) == config


def test_missing_fields_take_their_defaults() -> None:
    assert from_plain(PPOConfig, {"network": {"activation": "relu"}}) == PPOConfig(
        network=NetworkConfig(activation="relu")
    )


def test_unknown_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(MissingKey, match=r"no field 'gama' \(did you mean 'gamma'\?\)"):
        from_plain(PPOConfig, {"gama": 0.9})


def test_value_in_the_place_of_a_group_is_refused() -> None:
    with pytest.raises(InvalidType, match="network=5 in PPOConfig: expected a group of fields"):
        from_plain(PPOConfig, {"network": 5})
