"""What fields mean, from their docstrings."""

from __future__ import annotations

from hookrl.configs import PPOConfig, field_docs


def test_every_field_is_documented() -> None:
    assert [row.name for row in field_docs(PPOConfig) if not row.doc] == []


def test_nested_fields_have_dotted_names_and_their_defaults() -> None:
    defaults = {row.name: row.default for row in field_docs(PPOConfig)}
    assert defaults["network.hidden_sizes"] == (64, 64)
    assert "network" not in defaults


def test_a_docstring_of_several_lines_is_joined() -> None:
    docs = {row.name: row.doc for row in field_docs(PPOConfig)}
    assert docs["critic_coeff"].endswith("CleanRL's vf_coef=0.5 is 0.25 here.")
