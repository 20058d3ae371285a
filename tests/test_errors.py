"""Errors made for users."""

from __future__ import annotations

import pytest

from hookrl import errors
from hookrl.errors import MissingKey, UserError, did_you_mean


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InvalidValue", ValueError),
        ("InvalidType", TypeError),
        ("MissingKey", KeyError),
        ("MissingFile", FileNotFoundError),
        ("ExistingFile", FileExistsError),
    ],
)
def test_each_error_is_also_the_built_in_one(name: str, builtin: type[Exception]) -> None:
    error = getattr(errors, name)("what is wrong.")
    assert isinstance(error, builtin)
    assert isinstance(error, UserError)
    assert str(error) == "what is wrong."


def test_a_missing_key_shows_no_quotes_around_its_sentence() -> None:
    assert str(MissingKey("it isn't there.")) == "it isn't there."


def test_an_error_without_arguments_is_an_empty_text() -> None:
    assert str(UserError()) == ""


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("obervation", ["action", "observation"]) == (
        " (did you mean 'observation'?)"
    )


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert did_you_mean("xyz", ["action", "observation"]) == ""
