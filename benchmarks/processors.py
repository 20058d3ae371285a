"""Keeps a process to as many processors as it is to have threads.

Torch can be told how many threads to use; not everybody can. They are the processors with the least
to do: a process that may not move away shares one with whatever else runs there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path

_STATISTICS = Path("/proc/stat")
_LOOK = 0.5
"""Seconds for which processors are looked at."""


def use_processors(count: int) -> None:
    """Keep this process to so many of the processors it has, where the system lets it."""
    if not (hasattr(os, "sched_setaffinity") and _STATISTICS.exists()):
        return
    allowed = os.sched_getaffinity(0)
    if len(allowed) <= count:
        return
    before = idle_time(_STATISTICS.read_text(encoding="ascii"))
    time.sleep(_LOOK)
    after = idle_time(_STATISTICS.read_text(encoding="ascii"))
    os.sched_setaffinity(0, most_idle(before, after, allowed, count))


def most_idle(
    before: Mapping[int, int], after: Mapping[int, int], allowed: Collection[int], count: int
) -> set[int]:
    """Return the processors that were idle for longest between two looks.

    Of equals the last, since interrupts are often served by the first.
    """
    idle = {number: after[number] - before[number] for number in allowed}
    return set(sorted(idle, key=lambda number: (idle[number], number))[-count:])


def idle_time(statistics: str) -> dict[int, int]:
    """Return how long each processor had nothing to do, from the text of ``/proc/stat``."""
    found = {}
    for line in statistics.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit():
            found[int(name[3:])] = int(fields[3])
    return found
