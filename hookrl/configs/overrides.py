"""Configs from ``key=value`` texts, as the command line has them.

OmegaConf gives the texts their meaning: values are YAML, converted to and checked against the types
of the fields. Its errors are turned into one sentence each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast, get_args

from hookrl.configs.serialise import field_types, is_config, unknown_field
from hookrl.errors import InvalidType, InvalidValue

Config = TypeVar("Config")


def from_overrides(base: type[Config] | Config, overrides: Iterable[str]) -> Config:
    """Return a config with some fields set.

    Args:
        base: the dataclass, or a config whose other fields are kept.
        overrides: texts such as ``"gamma=0.9"``, ``"network.hidden_sizes=[256,256]"`` or
            ``"target_kl=null"``; the last one for a field wins.

    Raises:
        InvalidValue: for a text without ``=``, or a value that the config refuses.
        MissingKey: for a field that the config does not have.
        InvalidType: for a value of another type than the field's.
    """
    # Imported here, since it costs more than the rest of the command line's start.
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config_type: type[Config] = base if isinstance(base, type) else type(base)
    config = OmegaConf.structured(base)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise InvalidValue(f"{override!r} is no setting: expected key=value.")
        expected = _type_of(key, config_type)
        if is_config(expected):
            raise InvalidType(
                f"{override!r} sets a group: expected one of its fields, "
                f"{', '.join(f'{key}.{name}' for name in field_types(expected))}."
            )
        try:
            value = _parse(text)
            if isinstance(value, bool) and str in (own := _choices(expected)) and bool not in own:
                value = text  # in YAML "off" is false, too
            if expected is int and isinstance(value, float) and value.is_integer():
                value = int(value)  # total_frames=1e6 is how people write a million
            OmegaConf.update(config, key, value, merge=False, force_add=True)
        except (OmegaConfBaseException, ValueError):
            raise InvalidType(
                f"{key}={text!r} in {config_type.__name__}: expected {_type_name(expected)}."
            ) from None
    return _build(config, config_type)


def _type_name(expected: Any) -> str:
    """How a person would call a type: "a number or null" for ``float | None``."""
    names: dict[Any, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
    }
    names |= {type(None): "null", Any: "anything", dict[str, Any]: "{name: value, ...}"}
    if expected in names:
        return names[expected]
    if expected == tuple[int, ...]:
        return "a list of whole numbers"
    arguments = getattr(expected, "__args__", ())
    return " or ".join(map(_type_name, arguments)) if arguments else str(expected)


def _choices(expected: Any) -> set[Any]:
    """A type, or those of a union."""
    return set(get_args(expected)) or {expected}


def _parse(text: str) -> Any:
    """Read a value as YAML: ``null``, ``1e-4``, ``[64, 64]``, ``{a: 1}`` or plain text."""
    import yaml
    from omegaconf import OmegaConf

    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[index, call-overload]
    except yaml.YAMLError as error:
        raise ValueError(text) from error


def _type_of(key: str, config_type: type[Any]) -> Any:
    """Return the type of the field that a dotted key leads to."""
    here: Any = config_type
    for name in key.split("."):
        if here is Any:
            return here
        if here == dict[str, Any]:
            here = Any
        elif not is_config(here):
            raise unknown_field(key, config_type)
        else:
            types = field_types(here)
            if name not in types:
                raise unknown_field(name, here)
            here = types[name]
    return here


def _build(config: Any, config_type: type[Config]) -> Config:
    """Make the dataclass, which checks its values."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        built: Any = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise InvalidValue(
            f"{config_type.__name__} can't be made: {str(error).splitlines()[0]}."
        ) from None
    return cast(Config, built)
