"""The part of RESULTS.md on where hookrl's time goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INTRODUCTION = """\
# Where the time goes

Of hookrl, by part of the loop, without the first fifth of the frames: collecting, every hook at its
point, the loss, and what is left. Of a captured step only the whole is seen, with the hooks that
are part of the graph.
`python -m benchmarks.profile WORK` measures a work anew.
"""
_SMALL = 0.005
"""Parts below this share of the time are added up."""


def section(work: str, sides: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table for each of hookrl's sides of a work."""
    lines = [f"## {work}: parts", ""]
    for name, found in sides.items():
        frames, seconds = found["frames"], found["seconds"]
        lines += [
            f"{name}, {frames / seconds:,.0f} frames/s with the clocks:",
            "",
            "| part | µs per frame | share |",
            "| --- | ---: | ---: |",
        ]
        lines += [
            f"| {part} | {spent / frames * 1e6:.2f} | {spent / seconds:.1%} |"
            for part, spent in _gathered(found["parts"], seconds)
        ]
        lines.append("")
    first = next(iter(sides.values()))
    for group in ("machine", "versions"):
        lines += [f"{group}: {', '.join(f'{k} {v}' for k, v in first[group].items())}.", ""]
    return "\n".join(lines)


def _gathered(parts: Mapping[str, float], seconds: float) -> list[tuple[str, float]]:
    """The parts from the largest on, with all small ones as one."""
    rows = [(part, spent) for part, spent in parts.items() if spent >= _SMALL * seconds]
    small = [spent for spent in parts.values() if 0 < spent < _SMALL * seconds]
    return [*rows, (f"{len(small)} smaller parts", sum(small))] if small else rows
