"""The runs of one row in one JSON file, which grows run by run.

What is stored is a function of the settings stored beside it: where they differ from the present
ones, the runs of that side count for nothing. A run is in the file completely or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hookrl.files import replacing

Run = dict[str, Any]
"""mean, std, returns, frames, seconds and versions of one training seed."""


class Results:
    """Settings and runs of every side of one row.

    Args:
        path: the file; read if it is there.
        about: what the report says of the row beside its numbers.
        settings: for each side, what its runs are a function of.

    After construction `discarded` names, for each side whose stored runs were made with other
    settings, the settings that changed. Nothing is written before the first `save`.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.path = path
        self.about = dict(about)
        # As they will be read back: tuples as lists, for instance.
        self.settings: dict[str, dict[str, Any]] = json.loads(json.dumps(settings))
        self.runs: dict[str, dict[int, Run]] = {side: {} for side in self.settings}
        self.discarded: dict[str, list[str]] = {}
        stored = read(path)["sides"] if path.exists() else {}
        for side, current in self.settings.items():
            before = stored.get(side)
            if before is None:
                continue
            changed = _changed(before["settings"], current)
            if not changed:
                self.runs[side] = {int(seed): run for seed, run in before["runs"].items()}
            elif before["runs"]:
                self.discarded[side] = changed

    def adopt(self, path: Path) -> None:
        """Take over the runs of another file that were made with the settings of a side here."""
        for stored in read(path)["sides"].values():
            for side, settings in self.settings.items():
                if stored["settings"] == settings:
                    runs = {int(seed): run for seed, run in stored["runs"].items()}
                    self.runs[side] = {**runs, **self.runs[side]}

    def add(self, side: str, seed: int, run: Run) -> None:
        """Store a finished run."""
        self.runs[side][seed] = run
        self.save()

    def save(self) -> None:
        """Write the file, so that at every instant there is a complete one."""
        sides = {
            side: {
                "settings": settings,
                "runs": {str(seed): run for seed, run in sorted(self.runs[side].items())},
            }
            for side, settings in self.settings.items()
        }
        text = json.dumps({"about": self.about, "sides": sides}, indent=1, ensure_ascii=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary:
            temporary.write_text(_lists_on_one_line(text) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Return what a file of results holds."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def sides_of(content: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the names of the sides of a row: hookrl's, the one with fast paths, the peer's."""
    ours, fast, peer = content["sides"]
    return ours, fast, peer


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the settings that differ, or are only in one, as ``name: before → now``."""
    absent = "absent"
    both = ((name, before.get(name, absent), now.get(name, absent)) for name in {**before, **now})
    return [f"{name}: {old} → {new}" for name, old, new in both if old != new]


def _lists_on_one_line(text: str) -> str:
    """A hundred returns are read in one line rather than in a hundred."""
    return re.sub(
        r"\[\s+([-+\d.eE,\s]+?)\s+\]", lambda m: f"[{' '.join(m.group(1).split())}]", text
    )
