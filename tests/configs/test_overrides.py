"""Configs from key=value texts."""

from __future__ import annotations

from typing import Any

import pytest

from hookrl.configs import PPOConfig, from_overrides
from hookrl.errors import InvalidType, InvalidValue, MissingKey, UserError


def test_without_overrides_every_field_has_its_default() -> None:
    assert from_overrides(PPOConfig, []) == PPOConfig()


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("gamma=0.9", "gamma", 0.9),
        ("learning_rate=3e-4", "learning_rate", 3e-4),
        ("total_frames=1e6", "total_frames", 1_000_000),
        ("total_frames=1_000", "total_frames", 1000),
        ("env=ALE/Pong-v5", "env", "ALE/Pong-v5"),
        ("run_dir=runs/lr=3", "run_dir", "runs/lr=3"),
        ("clip_value=null", "clip_value", None),
        ("target_kl=0.01", "target_kl", 0.01),
        ("normalize_reward=true", "normalize_reward", True),
        ("compile=off", "compile", False),
        ("compile=auto", "compile", "auto"),
        ("env_kwargs={gravity: 9.8}", "env_kwargs", {"gravity": 9.8}),
        ("env_kwargs.deep.name=[1, a]", "env_kwargs", {"deep": {"name": [1, "a"]}}),
    ],
)
def test_a_text_becomes_a_value_of_the_type_of_its_field(
    override: str, field: str, value: Any
) -> None:
    result = getattr(from_overrides(PPOConfig, [override]), field)
    assert result == value
    assert type(result) is type(value)


def test_nested_fields_are_set_with_dots() -> None:
    config = from_overrides(PPOConfig, ["network.hidden_sizes=[256,256]"])
    assert config.network.hidden_sizes == (256, 256)


def test_the_last_of_several_wins() -> None:
    assert from_overrides(PPOConfig, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "kind", "sentence"),
    [
        ("gamm=0.9", MissingKey, "PPOConfig has no field 'gamm' (did you mean 'gamma'?)."),
        (
            "network.hiden_sizes=[8]",
            MissingKey,
            "NetworkConfig has no field 'hiden_sizes' (did you mean 'hidden_sizes'?).",
        ),
        (
            "hidden_sizes=[8]",
            MissingKey,
            "PPOConfig has no field 'hidden_sizes' (did you mean 'network.hidden_sizes'?).",
        ),
        ("gamma.x=1", MissingKey, "PPOConfig has no field 'gamma.x' (did you mean 'gamma'?)."),
        ("gamma", InvalidValue, "'gamma' is no setting: expected key=value."),
        ("=1", InvalidValue, "'=1' is no setting: expected key=value."),
        ("gamma=abc", InvalidType, "gamma='abc' in PPOConfig: expected a number."),
        ("seed=1.5", InvalidType, "seed='1.5' in PPOConfig: expected a whole number."),
        ("seed=true", InvalidType, "seed='true' in PPOConfig: expected a whole number."),
        ("clip_value=a", InvalidType, "clip_value='a' in PPOConfig: expected a number or null."),
        ("overwrite=maybe", InvalidType, "overwrite='maybe' in PPOConfig: expected true or false."),
        (
            "network.hidden_sizes=8",
            InvalidType,
            "network.hidden_sizes='8' in PPOConfig: expected a list of whole numbers.",
        ),
        (
            "evaluation=5",
            InvalidType,
            "'evaluation=5' sets a group: expected one of its fields, evaluation.interval, "
            "evaluation.episodes, evaluation.num_envs.",
        ),
        ("env=[1", InvalidType, "env='[1' in PPOConfig: expected text."),
        (
            "gamma=1.5",
            InvalidValue,
            "gamma=1.5 in PPOConfig: expected a number at least 0 and at most 1.",
        ),
        (
            "total_frames=0",
            InvalidValue,
            "total_frames=0 in PPOConfig: expected a whole number at least 1.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(override: str, kind: type[UserError], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        from_overrides(PPOConfig, [override])
    assert str(caught.value) == sentence


def test_a_text_that_yaml_takes_for_a_truth_value_is_a_text_where_one_is_expected() -> None:
    config = from_overrides(PPOConfig, ["checkpoint.exact_resume=off", "run_dir=yes"])
    assert config.checkpoint.exact_resume == "off"
    assert config.run_dir == "yes"
