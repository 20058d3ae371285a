"""Configs as plain values, as JSON has them, and back."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

from hookrl.errors import InvalidType, MissingKey, did_you_mean

Config = TypeVar("Config")


def to_plain(config: Any) -> dict[str, Any]:
    """Return the fields of a config as dicts, lists, numbers and texts."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def from_plain(config_type: type[Config], values: Mapping[str, Any]) -> Config:
    """Return the config that `to_plain` was given.

    Fields that are missing take their defaults, so that the config of an older version is read.

    Raises:
        MissingKey: for a field that the config does not have.
        InvalidType: for a value where a group of fields is expected.
        InvalidValue: for a value that the config refuses.
    """
    types = field_types(config_type)
    arguments = {}
    for name, value in values.items():
        if name not in types:
            raise unknown_field(name, config_type)
        if is_config(types[name]):
            if not isinstance(value, Mapping):
                raise InvalidType(
                    f"{name}={value!r} in {config_type.__name__}: expected a group of fields "
                    f"({', '.join(field_types(types[name]))})."
                )
            value = from_plain(types[name], value)
        arguments[name] = value
    return config_type(**arguments)


def field_types(config_type: type[Any]) -> dict[str, Any]:
    """Return the type of every field of a config, in order."""
    hints = typing.get_type_hints(config_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_type)}


def is_config(expected: Any) -> TypeGuard[type[Any]]:
    """Whether the type of a field is a config of its own."""
    return isinstance(expected, type) and dataclasses.is_dataclass(expected)


def unknown_field(name: str, config_type: type[Any]) -> MissingKey:
    """Return the error for a field that a config does not have."""
    known = {field: field for field in field_types(config_type)}
    for group, expected in field_types(config_type).items():
        if is_config(expected):
            known |= {field: f"{group}.{field}" for field in field_types(expected)}
    if name in known:
        hint = f" (did you mean {known[name]!r}?)"
    else:
        hint = did_you_mean(name, [*field_types(config_type), *known.values()])
    return MissingKey(f"{config_type.__name__} has no field {name!r}{hint}.")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_plain(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
