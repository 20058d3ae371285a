"""What the programs here have in common on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from hookrl.errors import did_you_mean


def chosen(
    parser: argparse.ArgumentParser, kind: str, names: Sequence[str], known: Iterable[str]
) -> list[str]:
    """Return the names that were asked for, or all; an unknown one ends the program.

    Args:
        parser: of the program, which says so.
        kind: what the names are of: "work", say.
        names: asked for; none means all.
        known: all there are.
    """
    known = list(known)
    for name in names:
        if name not in known:
            parser.error(
                f"unknown {kind} {name!r}{did_you_mean(name, known)}: expected one of "
                f"{', '.join(known)}."
            )
    return list(names) or known
