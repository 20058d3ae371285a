"""JSON as hookrl and torchsnapshot write it; whatever else a parser would let pass is refused."""

from __future__ import annotations

import json
from typing import Any

from hookrl.errors import InvalidValue


def parse(text: str | bytes, where: str) -> Any:
    """Return what JSON text says.

    Args:
        text: encoded as UTF-8, if it is bytes.
        where: what it is, for the error.

    Raises:
        InvalidValue: if it is not JSON, names something twice, or is nested too deep.
    """
    try:
        return json.loads(
            text.decode() if isinstance(text, bytes) else text, object_pairs_hook=_once
        )
    except RecursionError:
        raise InvalidValue(f"{where} is nested too deep.") from None
    except ValueError as error:
        raise InvalidValue(f"{where} is not what it should be: {error}.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it names something twice")
    return found
