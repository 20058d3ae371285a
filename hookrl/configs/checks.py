"""Checks of config fields, each error one sentence: what, where, what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hookrl.errors import InvalidType, InvalidValue, did_you_mean


def check_number(
    config: object,
    *fields: str,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    whole: bool = False,
    optional: bool = False,
) -> None:
    """Check that `fields` of `config` are numbers within bounds.

    Args:
        config: the dataclass.
        fields: names of its fields.
        at_least: inclusive lower bound.
        above: exclusive lower bound.
        at_most: inclusive upper bound.
        whole: only integers will do.
        optional: None will do as well.

    Raises:
        InvalidType: for anything but a number.
        InvalidValue: for a number out of bounds, NaN included.
    """
    bounds = [
        f"{word} {bound}"
        for word, bound in (("at least", at_least), ("above", above), ("at most", at_most))
        if bound is not None
    ]
    expected = " ".join(
        ["expected a", "whole number" if whole else "number", " and ".join(bounds)]
    ).rstrip() + (" or None" if optional else "")
    for field in fields:
        value = getattr(config, field)
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise InvalidType(f"{_where(config, field)}: {expected}.")
        within = (
            value == value  # NaN is within no bounds
            and (at_least is None or value >= at_least)
            and (above is None or value > above)
            and (at_most is None or value <= at_most)
        )
        if not within:
            raise InvalidValue(f"{_where(config, field)}: {expected}.")


def check_flag(config: object, *fields: str) -> None:
    """Check that `fields` of `config` are True or False.

    Raises:
        InvalidType: for anything else, 0 and 1 included.
    """
    for field in fields:
        if not isinstance(getattr(config, field), bool):
            raise InvalidType(f"{_where(config, field)}: expected true or false.")


def check_text(config: object, *fields: str, optional: bool = False) -> None:
    """Check that `fields` of `config` are texts that say something.

    Raises:
        InvalidType: for anything but text.
        InvalidValue: for an empty one.
    """
    for field in fields:
        value = getattr(config, field)
        if value is None and optional:
            continue
        if not isinstance(value, str):
            raise InvalidType(f"{_where(config, field)}: expected text.")
        if not value:
            raise InvalidValue(f"{_where(config, field)}: expected a text that is not empty.")


def check_choice(config: object, field: str, options: Iterable[str]) -> None:
    """Check that a field of `config` is one of `options`.

    Raises:
        InvalidValue: naming all of them, and the nearest.
    """
    value, known = getattr(config, field), list(options)
    if value not in known:
        names = ", ".join(map(repr, known))
        raise InvalidValue(
            f"{_where(config, field)}: expected one of {names}{did_you_mean(str(value), known)}."
        )


def check_kind(config: object, field: str, kind: type[Any], expected: str) -> None:
    """Check that a field of `config` is an instance of `kind`.

    Raises:
        InvalidType: for anything else.
    """
    if not isinstance(getattr(config, field), kind):
        raise InvalidType(f"{_where(config, field)}: expected {expected}.")


def _where(config: object, field: str) -> str:
    return f"{field}={getattr(config, field)!r} in {type(config).__name__}"
