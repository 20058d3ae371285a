"""A long run with many checkpoints: what it takes of memory and disk, which must not grow.

PPO on CartPole-v1 with a run directory, as a user has it, saved in the background every 10,000
frames. Each time before it is saved, the process's anonymous memory and the folder of checkpoints
are looked at; what is most at any time, while a checkpoint is being written, is seen by looking at
the folder after every operation on it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.long_run_report import summary, verdict
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.report import RESULTS_DIR, write_report
from hookrl.checkpoints.disk import Disk
from hookrl.configs import CheckpointConfig, PPOConfig, to_plain
from hookrl.trainers import PPOTrainer

FRAMES = 1_000_000
INTERVAL = 10_000
_ENVS, _STEPS = 8, 128
_BATCH = _ENVS * _STEPS
_TITLE = "PPO on CartPole-v1 for a long time, with checkpoints"


class WatchedDisk(Disk):
    """Does what it is told in a folder, and looks at the folder afterwards.

    Args:
        folder: of the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.most_checkpoints = 0
        self.most_bytes = 0

    def write(self, path: Path, produce: Callable[[BinaryIO], object]) -> None:
        """Write a file."""
        super().write(path, produce)
        self._look()

    def fill(self, directory: Path, produce: Callable[[Path], object]) -> None:
        """Let other code write files."""
        super().fill(directory, produce)
        self._look()

    def rename(self, old: Path, new: Path) -> None:
        """Give something another name."""
        super().rename(old, new)
        self._look()

    def _look(self) -> None:
        count, size = folder_use(self.folder)
        self.most_checkpoints = max(self.most_checkpoints, count)
        self.most_bytes = max(self.most_bytes, size)


def folder_use(folder: Path) -> tuple[int, int]:
    """Return how many checkpoints a folder holds, and the bytes of all files in it."""
    if not folder.is_dir():
        return 0, 0
    count = sum(path.name[0].isdigit() and not path.is_symlink() for path in folder.iterdir())
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            # A checkpoint may be removed while it is looked at.
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(Path(parent, name))
                size += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return count, size


def anonymous_memory() -> int:
    """Return the bytes of memory of this process that are no file's."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "RssAnon":
            return int(value.split()[0]) * 1024
    raise OSError("/proc/self/status has no RssAnon: expected Linux.")


def measure(frames: int, interval: int, run_dir: Path) -> dict[str, Any]:
    """Train, and return what was seen: ``samples`` of frames, memory, bytes and checkpoints."""
    config = PPOConfig(
        env="CartPole-v1",
        num_envs=_ENVS,
        steps_per_env=_STEPS,
        epochs=1,
        total_frames=frames,
        run_dir=str(run_dir),
        progress_bar=False,
        checkpoint=CheckpointConfig(interval=interval),
    )
    trainer = PPOTrainer.from_config(config)
    store = trainer.checkpoints
    assert store is not None
    disk = WatchedDisk(store.folder)
    store.disk = store.versions.disk = disk
    samples: list[list[int]] = []

    def sample() -> None:
        count, size = folder_use(disk.folder)
        samples.append([trainer.collected_frames, anonymous_memory(), size, count])

    # Every time when a checkpoint is due, before it is written.
    trainer.register_op("post_steps", sample, every_frames=interval)
    start = time.perf_counter()
    trainer.train()
    settings = {k: v for k, v in to_plain(config).items() if k not in ("run_dir", "overwrite")}
    return {
        "frames": trainer.collected_frames,
        "interval": interval,
        "max_checkpoints": store.max_checkpoints,
        "seconds": round(time.perf_counter() - start, 1),
        "most_checkpoints": disk.most_checkpoints,
        "most_bytes": disk.most_bytes,
        "samples": samples,
        "settings": settings,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from the command line; the exit code is 1 if memory or disk grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_run", description=_TITLE)
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"default: {FRAMES:,}")
    parser.add_argument("--interval", type=int, default=INTERVAL, help=f"default: {INTERVAL:,}")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where JSON is kept")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given)
    if options.interval < _BATCH or options.frames < 20 * options.interval:
        parser.error(f"expected an interval of at least {_BATCH:,} frames, and 20 of them.")
    with tempfile.TemporaryDirectory() as folder:
        content = {
            "title": _TITLE,
            "command": " ".join(["python", "-m", "benchmarks.long_run", *given]),
            "machine": describe_machine(),
            "versions": describe_versions(("torch", "tensordict", "numpy", "gymnasium")),
            **measure(options.frames, options.interval, Path(folder) / "run"),
        }
    print("\n".join(summary(content)))
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=False)
    (options.results / "long_run.json").write_text(text + "\n", encoding="utf-8")
    print(write_report(options.results))
    return 0 if verdict(content) else 1


if __name__ == "__main__":
    sys.exit(main())
