"""What the samples of a long run come to."""

from __future__ import annotations

import json
import statistics
from typing import Any

MOST_GROWTH = 1.0
"""MB by which memory may grow. If every save left a copy of the state behind, it would be 4."""
_MB = 1e6


def memory(content: dict[str, Any]) -> tuple[float, float]:
    """Return the median MB of memory after the first tenth of the frames, and in the last one.

    The first tenth itself is left out: allocators and caches fill up. Of what comes after it, the
    first is a tenth of the frames as well.
    """
    frames, samples = content["frames"], content["samples"]
    early = [s[1] for s in samples if 0.1 * frames < s[0] <= 0.2 * frames]
    late = [s[1] for s in samples if 0.9 * frames < s[0]]
    return statistics.median(early) / _MB, statistics.median(late) / _MB


def verdict(content: dict[str, Any]) -> bool:
    """Whether memory stayed as it was, and no more checkpoints were kept than may be."""
    early, late = memory(content)
    # The new one is there before the oldest goes.
    kept = content["max_checkpoints"] + 1
    return late - early <= MOST_GROWTH and content["most_checkpoints"] <= kept


def summary(content: dict[str, Any]) -> list[str]:
    """Say what was seen, in a few lines."""
    early, late = memory(content)
    size = max(size for *_, size, _ in content["samples"])
    return [
        f"{content['frames']:,} frames in {content['seconds']:,.0f} s, "
        f"a checkpoint every {content['interval']:,}",
        f"anonymous memory: {early:.1f} MB after the first tenth, {late:.1f} MB in the last tenth "
        f"(medians); grown by {late - early:.1f} MB, bound {MOST_GROWTH:g}",
        f"checkpoints: {content['max_checkpoints']} are kept; at most "
        f"{content['most_checkpoints']} were there at any time, one more being allowed while it is "
        "put in place",
        f"their folder: {size / _MB:.2f} MB at most when a save is due, "
        f"{content['most_bytes'] / _MB:.2f} MB at any time",
        f"**{'passed' if verdict(content) else 'FAILED'}**",
    ]


def section(name: str, content: dict[str, Any]) -> str:
    """Return a section of the report."""
    lines = [f"## {name.replace('_', '-')}", "", f"{content['title']}.", ""]
    lines += [f"- {line}" for line in summary(content)]
    lines += [
        "",
        f"`{content['command']}`. What was seen every tenth time that a save was due:",
        "",
        "| frames | anonymous memory, MB | folder, MB | checkpoints |",
        "|---:|---:|---:|---:|",
    ]
    samples = content["samples"]
    for frames, used, size, count in samples[:: max(1, len(samples) // 10)]:
        lines.append(f"| {frames:,} | {used / _MB:.1f} | {size / _MB:.2f} | {count} |")
    for group in ("machine", "versions"):
        lines += ["", f"{group}: {', '.join(f'{k} {v}' for k, v in content[group].items())}."]
    lines += ["", f"hookrl: `{json.dumps(content['settings'], ensure_ascii=False)}`"]
    return "\n".join([*lines, ""])
