"""A disk that writes down what is done to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hookrl.checkpoints.disk import Disk

Image = dict[str, Any]
"""What is on a disk: None for a directory, bytes for a file, a `Link`; by relative path."""


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Made:
    """A new name, of a directory (None), an empty file (b"") or a link."""

    path: str
    content: bytes | Link | None


@dataclass(frozen=True)
class Written:
    path: str
    content: bytes


@dataclass(frozen=True)
class Renamed:
    old: str
    new: str


@dataclass(frozen=True)
class Removed:
    path: str


@dataclass(frozen=True)
class Synced:
    path: str


@dataclass(frozen=True)
class Began:
    save: int


@dataclass(frozen=True)
class Returned:
    save: int


Step = Made | Written | Renamed | Removed | Synced | Began | Returned


class QuickDisk(Disk):
    """A disk that does not wait: nobody will cut the power."""

    def sync(self, path: Path) -> None:
        path.lstat()


@dataclass
class RecordingDisk(QuickDisk):
    """Does everything in the directory `root`, and keeps the steps, the smallest there are."""

    root: Path
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def save(self, number: int) -> Iterator[None]:
        self.steps.append(Began(number))
        yield
        self.steps.append(Returned(number))

    def make_directory(self, path: Path) -> None:
        super().make_directory(path)
        self.steps.append(Made(self._name(path), None))

    def write(self, path: Path, produce: Callable[[BinaryIO], object]) -> None:
        super().write(path, produce)
        self._made(path)

    def fill(self, directory: Path, produce: Callable[[Path], object]) -> None:
        super().fill(directory, produce)
        for path in sorted(directory.rglob("*")):
            self._made(path)

    def sync(self, path: Path) -> None:
        super().sync(path)
        self.steps.append(Synced(self._name(path)))

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.steps.append(Renamed(self._name(old), self._name(new)))

    def link(self, path: Path, target: str) -> None:
        super().link(path, target)
        self.steps.append(Made(self._name(path), Link(target)))

    def remove(self, path: Path) -> None:
        inner = sorted(path.rglob("*"), reverse=True) if not path.is_symlink() else []
        self.steps += [Removed(self._name(each)) for each in [*inner, path]]
        super().remove(path)

    def _made(self, path: Path) -> None:
        if path.is_dir():
            self.steps.append(Made(self._name(path), None))
        else:
            self.steps.append(Made(self._name(path), b""))
            self.steps.append(Written(self._name(path), path.read_bytes()))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def read_image(directory: Path) -> Image:
    """What is in a directory."""
    image: Image = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            image[name] = Link(os.readlink(path))
        else:
            image[name] = None if path.is_dir() else path.read_bytes()
    return image


def write_image(image: Image, directory: Path) -> None:
    """Make a directory with that in it, if it is not there."""
    directory.mkdir(exist_ok=True)
    for name, content in sorted(image.items()):
        path = directory / name
        if content is None:
            path.mkdir()
        elif isinstance(content, Link):
            path.symlink_to(content.target)
        else:
            path.write_bytes(content)
