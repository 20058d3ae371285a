"""What reports are written with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int) -> list[str]:
    """Return the lines of a table whose first columns are text, and the others numbers."""
    rule = ["---"] * text_columns + ["---:"] * (len(head) - text_columns)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def conditions(content: Mapping[str, Any]) -> Iterator[str]:
    """Return paragraphs that say with what command, on and with what a file of results was made."""
    yield f"`{content['command']}`"
    for name in ("machine", "versions"):
        yield f"{name}: {', '.join(f'{key} {value}' for key, value in content[name].items())}."
