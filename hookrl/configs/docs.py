"""What every field of a config means, read from the docstrings that follow the fields."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
from typing import Any, NamedTuple

from hookrl.configs.serialise import field_types, is_config


class FieldDoc(NamedTuple):
    """One field, for a table of settings."""

    name: str
    """With dots where it is nested."""
    type: Any
    default: Any
    doc: str
    """On one line."""


def field_docs(config_type: type[Any], prefix: str = "") -> list[FieldDoc]:
    """Return every field of a config, those of nested configs in the place of their group."""
    docs = _docstrings(config_type)
    types = field_types(config_type)
    rows: list[FieldDoc] = []
    for field in dataclasses.fields(config_type):
        name, expected = prefix + field.name, types[field.name]
        if is_config(expected):
            rows += field_docs(expected, f"{name}.")
        else:
            rows.append(FieldDoc(name, expected, _default(field), docs.get(field.name, "")))
    return rows


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _docstrings(config_type: type[Any]) -> dict[str, str]:
    """Python drops a text that follows a field, so it is read from the source."""
    docs: dict[str, str] = {}
    for parent in reversed(config_type.__mro__):
        if not dataclasses.is_dataclass(parent):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(parent)))
        body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)).body
        for statement, following in itertools.pairwise(body):
            match statement, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    docs[name] = " ".join(text.split())
    return docs
