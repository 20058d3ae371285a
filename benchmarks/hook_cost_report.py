"""The part of RESULTS.md on what the hook system costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import conditions, table

BOUNDS: dict[str, float] = {
    "hook, eager": 1.0,
    "hook, captured": 0.0,
    "system, eager": 10.0,
    "system, captured, over the bare graph": 10.0,
    "system, captured, over a loop by hand": 10.0,
}
"""What each figure may be at most, µs, by the beginning of its name."""
NOTHING = 0.05
"""Microseconds that count as none: less than a call of a Python function."""

INTRODUCTION = """\
# The hook system

In microseconds. *One more hook* is one that does nothing: the slope of the time over 0 to 100 of
them, eager for each way in which points call their hooks, captured as part of a whole step. *The
system* is the time of one inner step of PPO with all its hooks, less that of the same operations
called directly; `benchmarks/hook_cost.py` says exactly which. Within a process everything takes
turns; a figure is the median over several processes of different hash seeds.
"""


def bound(figure: str) -> float:
    """Return what a figure may be at most, µs."""
    return next(most for name, most in BOUNDS.items() if figure.startswith(name))


def met(figure: str, found: Mapping[str, Any]) -> bool:
    """Whether a figure is within its bound."""
    return bool(found["median"] <= max(bound(figure), NOTHING))


def summary(content: Mapping[str, Any]) -> list[str]:
    """Say of each figure what it came to, and whether that is allowed."""
    return [
        f"{name}: {_interval(found)} µs, at most {bound(name):g}: "
        f"{'**met**' if met(name, found) else '**NOT MET**'}"
        for name, found in content["figures"].items()
    ]


def section(content: Mapping[str, Any]) -> str:
    """Return the figures with their bounds, and the steps that some are differences of."""
    figures = [
        (
            _in_words(name),
            f"{found['median']:.3f}",
            f"{bound(name):g}",
            "yes" if met(name, found) else "**NO**",
            ", ".join(f"{value:.2f}" for value in sorted(found["each"])),
        )
        for name, found in content["figures"].items()
    ]
    steps = [
        (name, f"{found['median']:,.1f}", f"{min(found['each']):,.1f} to {max(found['each']):,.1f}")
        for name, found in content["steps"].items()
    ]
    processes = len(next(iter(content["figures"].values()))["each"])
    lines = [
        *table(("cost", "µs", "at most", "met", "in each process"), figures, text_columns=1),
        "",
        "What the latter are differences of, per step:",
        "",
        *table(("", "µs", "over processes"), steps, text_columns=1),
        "",
        f"Medians over {processes} processes, in each over {content['rounds']} rounds, one thread "
        "on one processor.",
    ]
    for paragraph in conditions(content):
        lines += ["", paragraph]
    return "\n".join([*lines, ""])


def _in_words(name: str) -> str:
    kind, _, rest = name.partition(", ")
    subject = {"hook": "one more hook", "system": "the system in one inner step"}[kind]
    return f"{subject}, {rest}"


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['median']:.3f} ({min(found['each']):.3f} to {max(found['each']):.3f})"
