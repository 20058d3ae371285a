"""What fields mean, from their docstrings."""

from __future__ import annotations

from typing import Any

import pytest

from hookrl.configs import DiscreteSACConfig, DQNConfig, PPOConfig, SACConfig, field_docs


@pytest.mark.parametrize("config_type", [PPOConfig, DQNConfig, SACConfig, DiscreteSACConfig])
def test_every_field_is_documented(config_type: type[Any]) -> None:
    assert [row.name for row in field_docs(config_type) if not row.doc] == []


def test_a_docstring_of_a_subclass_replaces_that_of_its_parent() -> None:
    docs = {row.name: row.doc for row in field_docs(SACConfig)}
    assert docs["learn_alpha"].endswith("the entropy stays at minus the dimensions of an action.")


def test_nested_fields_have_dotted_names_and_their_defaults() -> None:
    defaults = {row.name: row.default for row in field_docs(PPOConfig)}
    assert defaults["network.hidden_sizes"] == (64, 64)
    assert "network" not in defaults


def test_a_docstring_of_several_lines_is_joined() -> None:
    docs = {row.name: row.doc for row in field_docs(PPOConfig)}
    assert docs["critic_coeff"].endswith("CleanRL's vf_coef=0.5 is 0.25 here.")
