"""What the ways of saving came to: tables, and what is required of hookrl's."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.checkpoints.names import (
    BACKGROUND,
    HOOKRL,
    LARGE,
    MAPPED,
    SMALL,
    TORCH_SAVE,
)

MOST_STALL = 0.1
"""Of the time that a blocking ``torch.save`` holds the loop."""
MOST_MEMORY = 300e6
"""Bytes beyond what the process had, while a buffer is restored into mapped storage."""
MOST_BYTES = 1.01
"""Of what ``torch.save`` writes."""

INTRODUCTION = """\
# Checkpoints

hookrl's beside other ways to save the same: all in turn, then all again. Each large save has a
process of its own; each way of the small ones has one, which did everything once before it counts.

- *call*: until the call returns. *on disk*: until all of it would survive a power cut; after the
  other ways every file and folder is synced for that, which is no part of their calls. hookrl syncs
  by itself and hashes what it has written; when it loads it checks the hashes.
- *loop held*: the call, and until the save was over what each step of the loop took longer than the
  median step before, summed up. *step*: medians before and, in the background, meanwhile.
- *memory*: anonymous memory at the peak, beyond what the process had before; looked at every few
  milliseconds from another process. Loading into memory includes what is loaded.
- Files are written through the page cache, and read from it: they were written just before. Memory
  for all that is held in use until then, since a virtual machine hands back what nobody uses.
- The other ways get the buffer's own tensors; its `state_dict()` would copy them first.
- dcp is `torch.distributed.checkpoint`, without a process group. `torchsnapshot`'s `async_take` is
  left out: it stores what large tensors on the CPU were changed to after the call.
"""
_UNITS = {SMALL: ("ms", 1e3, "MB", 1e-6, 2), LARGE: ("s", 1.0, "MB", 1e-6, 0)}
"""Of time, with its factor; of memory, with its factor; and decimals of the latter."""


def summary(content: dict[str, Any]) -> list[str]:
    """Say whether each thing that is required is met, if the large subject was measured."""
    if LARGE not in content:
        return []
    saves, loads = content[LARGE]["saves"], content[LARGE]["loads"]
    blocking, synced, written = (
        _median(saves[TORCH_SAVE], figure) for figure in ("call", "durable", "bytes")
    )
    lines = []
    for name in BACKGROUND.values():
        call, held = (_median(saves[name], figure) for figure in ("call", "stall"))
        lines.append(
            f"{name}: the large save lets the loop stand still for {call:.3f} s, "
            f"{call / blocking:.1%} of the {blocking:.2f} s of a blocking {TORCH_SAVE} (required: "
            f"less than {MOST_STALL:.0%}): {_met(call < MOST_STALL * blocking)}; if it is counted, "
            f"too, that steps of a loop that only stores and samples are slower until all is on "
            f"disk, it is held for {held:.2f} s, {held / blocking:.0%} of it ({held / synced:.0%} "
            f"if that is synced): {_met(held < MOST_STALL * blocking)}"
        )
    for name in MAPPED.values():
        most = max(run["memory"] for run in loads[name])
        lines.append(
            f"{name}: at most {most / 1e6:.0f} MB of extra memory (required: less than "
            f"{MOST_MEMORY / 1e6:.0f} MB): {_met(most < MOST_MEMORY)}"
        )
    for name in HOOKRL.values():
        ratio = _median(saves[name], "bytes") / written
        lines.append(
            f"{name}: {ratio:.4f} of the bytes that {TORCH_SAVE} writes (required: at most "
            f"{MOST_BYTES}): {_met(ratio <= MOST_BYTES)}"
        )
    return lines


def section(name: str, content: dict[str, Any]) -> str:
    """Return the section of RESULTS.md."""
    lines = [f"## {name}", "", *(f"- {line}" for line in summary(content))]
    for subject, measured in content.items():
        rounds = len(next(iter(measured["saves"].values())))
        lines += ["", f"### {subject}", "", f"{measured['title']}.", ""]
        lines += [f"`{measured['command']}`; medians of {rounds}, from lowest to highest.", ""]
        lines += [*_saves(subject, measured["saves"]), ""]
        lines += _loads(subject, measured["loads"])
        for group in ("machine", "versions"):
            lines += ["", f"{group}: {', '.join(f'{k} {v}' for k, v in measured[group].items())}."]
    return "\n".join([*lines, ""])


def _saves(subject: str, saves: dict[str, list[dict[str, Any]]]) -> list[str]:
    seconds, size = _formats(subject)
    unit, _, memory, _, _ = _UNITS[subject]
    times = (f"{figure} {unit}" for figure in ("call", "on disk", "loop held"))
    sizes = (f"{figure} {memory}" for figure in ("memory", "files"))
    head = ("saving", *times, "steps meanwhile", "step ms", *sizes)
    rows = [
        (
            name,
            *(_range(runs, figure, seconds) for figure in ("call", "durable", "stall")),
            f"{_median(runs, 'steps'):,.0f}",
            _steps(runs),
            _range(runs, "memory", size),
            size(_median(runs, "bytes")),
        )
        for name, runs in saves.items()
    ]
    return _table(head, rows)


def _loads(subject: str, loads: dict[str, list[dict[str, Any]]]) -> list[str]:
    seconds, size = _formats(subject)
    unit, _, memory, _, _ = _UNITS[subject]
    rows = [
        (name, _range(runs, "seconds", seconds), _range(runs, "memory", size))
        for name, runs in loads.items()
    ]
    return _table(("loading", f"takes {unit}", f"memory {memory}"), rows)


def _steps(runs: list[dict[str, Any]]) -> str:
    """How long a step took before, and while there was something saved."""
    before = f"{_median(runs, 'step_before') * 1e3:.2f}"
    if not any(run["steps"] for run in runs):
        return before
    meanwhile = [run["step_meanwhile"] for run in runs if run["steps"]]
    return f"{before} → {statistics.median(meanwhile) * 1e3:.2f}"


def _formats(subject: str) -> tuple[Callable[[float], str], Callable[[float], str]]:
    """How times and sizes are written."""
    _, times, _, sizes, decimals = _UNITS[subject]
    return lambda value: f"{value * times:.2f}", lambda value: f"{value * sizes:,.{decimals}f}"


def _range(runs: list[dict[str, Any]], figure: str, text: Callable[[float], str]) -> str:
    values = [run[figure] for run in runs]
    return f"{text(statistics.median(values))} ({text(min(values))} to {text(max(values))})"


def _median(runs: list[dict[str, Any]], figure: str) -> float:
    return statistics.median(run[figure] for run in runs)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _met(met: bool) -> str:
    return "**met**" if met else "**NOT MET**"
