"""Saving and loading, hookrl's way beside others: ``python -m benchmarks.checkpoint``.

A small PPO trainer and a replay buffer of 2 GB. How long it takes, how long training is held, and
how much memory and disk it needs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.checkpoints.names import LARGE, SMALL, SUBJECTS
from benchmarks.checkpoints.report import summary
from benchmarks.checkpoints.subjects import ACTION, EPISODE, OBSERVATION, TRANSITION_BYTES
from benchmarks.checkpoints.workers import run_in_turn
from benchmarks.machine import describe_disk, describe_machine, describe_versions
from benchmarks.report import RESULTS_DIR, write_report

_COMPARED = ("torch", "tensordict", "numpy", "gymnasium", "torchsnapshot")
_FILES = 3
"""Sizes of the buffer that are on disk at once: a checkpoint, mapped storage, and some room."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is measured."""

    buffer_bytes: float
    rounds: dict[str, int]

    @property
    def transitions(self) -> int:
        """Capacity of the buffer."""
        return int(self.buffer_bytes / TRANSITION_BYTES)


FULL = Amount(buffer_bytes=2e9, rounds={LARGE: 3, SMALL: 20})
QUICK = Amount(buffer_bytes=20e6, rounds={LARGE: 1, SMALL: 1})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write what came out into the directory of results and beside it."""
    program = "python -m benchmarks.checkpoint"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("--directory", type=Path, help="where to write (default: a temporary one)")
    parser.add_argument("--only", choices=SUBJECTS, help="measure one, keep what is of the other")
    parser.add_argument("--quick", action="store_true", help="20 MB and one round, to try it out")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where JSON is kept")
    options = parser.parse_args(arguments)
    amount = QUICK if options.quick else FULL
    command = " ".join([program, *(["--quick"] if options.quick else [])])

    file = options.results / "checkpoint.json"
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for subject in SUBJECTS if options.only is None else [options.only]:
        with tempfile.TemporaryDirectory(dir=options.directory) as name:
            content[subject] = _measured(subject, amount, Path(name)) | {"command": command}
        options.results.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, ensure_ascii=False)
        file.write_text(text + "\n", encoding="utf-8")
    print("\n".join(summary(content)))
    print(write_report(options.results))


def _measured(subject: str, amount: Amount, directory: Path) -> dict[str, Any]:
    free, needed = shutil.disk_usage(directory).free, _FILES * amount.buffer_bytes
    if free < needed:
        sys.exit(f"{directory} has {free / 1e9:.1f} GB free, expected {needed / 1e9:.1f} GB.")
    return {
        "title": _title(subject, amount),
        "machine": describe_machine() | {"disk": describe_disk(directory)},
        "versions": describe_versions(_COMPARED),
        **run_in_turn(subject, amount.rounds[subject], amount.transitions, directory),
    }


def _title(subject: str, amount: Amount) -> str:
    if subject == SMALL:
        return (
            "The trainer of PPO on CartPole-v1, two networks of 64×64, after two batches. A step "
            "of the loop computes a gradient on 256 frames"
        )
    return (
        f"A full replay buffer of {amount.transitions:,} transitions, "
        f"{amount.buffer_bytes / 1e6:,.0f} MB: float32 observations [{OBSERVATION}], actions "
        f"[{ACTION}] and reward, three flags; episodes of {EPISODE} steps. A step of the loop "
        "stores one transition and draws a sample of 256"
    )


if __name__ == "__main__":
    main()
