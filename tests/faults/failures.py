"""A disk that fails at one of its operations, or from it on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest
from faults.recording import Image, QuickDisk, read_image, write_image
from faults.scenarios import Scenario, state
from states import assert_same

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
MODES = ("at once", "half-way", "once it is done")
"""When an operation fails: a file may be written in part, and a network file system may report a
failure of something that was done."""


@dataclass(frozen=True)
class Failure:
    """What goes wrong in a save."""

    at: int
    """Which operation, counted from 0."""
    mode: str
    error: int
    lasting: bool
    """Whether all after it fail too."""


class FailingDisk(QuickDisk):
    """Does what it is told, up to a failure.

    Args:
        failure: which; None: it only counts.
        filled: what other code fills a directory with, made once, as that takes long.
    """

    def __init__(self, failure: Failure | None, filled: Image) -> None:
        self.failure = failure
        self.filled = filled
        self.count = 0

    def make_directory(self, path: Path) -> None:
        self._do(path, super().make_directory)

    def write(self, path: Path, produce: Callable[[BinaryIO], object]) -> None:
        def half() -> None:
            super(FailingDisk, self).write(path, produce)
            os.truncate(path, path.stat().st_size // 2)

        self._do(path, lambda path: super(FailingDisk, self).write(path, produce), half)

    def fill(self, directory: Path, produce: Callable[[Path], object]) -> None:
        def whole(directory: Path) -> None:
            if self.filled:
                write_image(self.filled, directory)
            else:
                produce(directory)
                self.filled.update(read_image(directory))

        def half() -> None:
            whole(directory)
            files = [entry for entry in directory.rglob("*") if entry.is_file()]
            os.truncate(files[0], files[0].stat().st_size // 2)
            files[-1].unlink()

        self._do(directory, whole, half)

    def sync(self, path: Path) -> None:
        self._do(path, super().sync)

    def rename(self, old: Path, new: Path) -> None:
        self._do(old, lambda old: super(FailingDisk, self).rename(old, new))

    def link(self, path: Path, target: str) -> None:
        self._do(path, lambda path: super(FailingDisk, self).link(path, target))

    def remove(self, path: Path) -> None:
        def half() -> None:
            inner = [entry for entry in path.rglob("*") if entry.is_file()]
            for entry in inner[: max(1, len(inner) // 2)]:
                entry.unlink()

        self._do(path, super().remove, half)

    def _do(
        self,
        path: Path,
        operation: Callable[[Path], object],
        half: Callable[[], object] = lambda: None,
    ) -> None:
        number, failure = self.count, self.failure
        self.count += 1
        if failure is None or number < failure.at or (number > failure.at and not failure.lasting):
            operation(path)
            return
        if number == failure.at and failure.mode == "half-way":
            half()
        elif number == failure.at and failure.mode == "once it is done":
            operation(path)
        raise OSError(failure.error, os.strerror(failure.error), str(path))


def failures(scenario: Scenario, number: int, before: Image, folder: Path) -> Iterator[Failure]:
    """Every failure of a save, after those before it have left a disk."""
    write_image(before, folder)
    disk = FailingDisk(None, {})
    scenario.save(number, folder, disk)
    for at in range(disk.count):
        for index, mode in enumerate(MODES):
            for lasting in (False, True):
                yield Failure(at, mode, ERRORS[(at + index + lasting) % 3], lasting)


def check_failure(
    scenario: Scenario, number: int, before: Image, filled: Image, failure: Failure, folder: Path
) -> None:
    """Check that a save that fails says so, and leaves what was there, or what it saved."""
    write_image(before, folder)
    with pytest.raises(OSError, match=os.strerror(failure.error)) as caught:
        scenario.save(number, folder, FailingDisk(failure, filled))
    assert str(folder) in str(caught.value.filename)
    scenario.check(folder, frozenset({number - 1, number}))


def disks(scenario: Scenario, folder: Path) -> list[Image]:
    """The disk before each of a scenario's saves."""
    folder.mkdir()
    scenario.prepare(folder)
    images = []
    for number in range(scenario.count):
        images.append(read_image(folder))
        scenario.save(number, folder, QuickDisk())
    assert_same(scenario.read(folder), state(scenario.count - 1))
    return images
