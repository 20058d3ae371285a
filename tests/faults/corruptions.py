"""Damage to the files of a checkpoint: every kind to every file, all of which must be seen."""

from __future__ import annotations

import os
import random
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.recording import QuickDisk
from faults.scenarios import state
from states import assert_same

from hookrl.checkpoints import CheckpointStore, CorruptCheckpoint, SingleCheckpoint, encode

FORMS = ("store", "single")


@dataclass(frozen=True)
class Damage:
    """Something that happens to a checkpoint."""

    what: str
    do: Callable[[Path], object]
    """Called with the directory of the checkpoint."""


@dataclass(frozen=True)
class Place:
    """Two checkpoints of one run, of save 0 and of save 1."""

    folder: Path
    form: str
    backend: str

    def save(self, number: int) -> None:
        encoded = encode(state(number))
        if self.form == "store":
            options = {"resume": True, "backend": self.backend, "disk": QuickDisk()}
            CheckpointStore(self.folder, **options).write(10 * number, encoded)
        else:
            SingleCheckpoint(self.folder / "state", QuickDisk()).write(encoded, self.backend)

    def read(self) -> object:
        if self.form == "store":
            return CheckpointStore(self.folder, resume=True).read()[0]
        return SingleCheckpoint(self.folder / "state").read()[0]

    @property
    def directories(self) -> list[Path]:
        """Of the checkpoints, the older first."""
        above = self.folder if self.form == "store" else self.folder / ".state.versions"
        return sorted(path for path in above.glob("0*") if not path.is_symlink())


def damages(directory: Path, other: Path, flips: int) -> Iterator[Damage]:
    """Every damage to the checkpoint in a directory.

    Args:
        directory: the checkpoint.
        other: another one, from which files may come.
        flips: how many bits to turn in each file, one at a time.
    """
    generator = random.Random(0)
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    others = sorted(path for path in other.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        name, size = path.relative_to(directory).as_posix(), path.stat().st_size
        bits = range(8 * size)
        chosen = [0, 8 * size - 1, *generator.sample(bits, min(flips, len(bits)))]
        for bit in chosen:
            yield _edit(name, f"bit {bit} turned", lambda raw, bit=bit: _turned(raw, bit))
        for length in sorted({0, 1, size // 2, size - 1, generator.randrange(size)}):
            yield _edit(name, f"cut off at {length}", lambda raw, length=length: raw[:length])
        yield _edit(name, "longer by a zero", lambda raw: raw + b"\0")
        yield _edit(name, "all zeros", lambda raw: bytes(len(raw)))
        half = size // 2
        yield _edit(name, "zeros at its end", lambda raw, n=half: raw[:n] + b"\1" * (len(raw) - n))
        yield _edit(name, "its halves exchanged", lambda raw, n=half: raw[n:] + raw[:n])
        # In the same order, since torchsnapshot draws some names at random.
        foreign = others[number].read_bytes()
        yield _edit(name, "that of another checkpoint", lambda raw, foreign=foreign: foreign)
        yield Damage(f"{name}: removed", lambda d, name=name: (d / name).unlink())
        yield Damage(f"{name}: a directory", lambda d, name=name: _as_directory(d / name))
        yield Damage(f"{name}: a link to its copy", lambda d, name=name: _as_link(d / name))
        yield Damage(f"{name}: renamed", lambda d, name=name: (d / name).rename(d / "renamed"))
    yield Damage("a file more", lambda d: (d / "more").touch())
    yield Damage("a hidden file more", lambda d: (d / ".more").touch())
    yield Damage("a file more further down", lambda d: _deep(d / "more"))
    yield Damage("a link more", lambda d: (d / "more").symlink_to("manifest.json"))
    yield Damage("all files removed", lambda d: [_remove(path) for path in d.iterdir()])
    yield Damage("the whole of another one", lambda d: _exchange(d, other))
    yield Damage("the directory a link", lambda d: _as_link(d))
    yield Damage("the directory a file", lambda d: (shutil.rmtree(d), d.touch()))


def check_damage(place: Place, damage: Damage) -> None:
    """Check that damage to the newer checkpoint, and then to both, is seen; nothing is left of it.

    With the older one sound, that is used, with a warning that names the newer; without, nothing.
    """
    older, newer = place.directories
    with _restored(newer):
        damage.do(newer)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = place.read()
        assert_same(found, state(0))
        assert any(str(newer) in str(warning.message) for warning in caught), "no warning"
        with _restored(older):
            shutil.rmtree(older)
            with pytest.raises(CorruptCheckpoint, match=re.escape(str(newer))):
                place.read()
    assert_same(place.read(), state(1))


@contextmanager
def _restored(directory: Path) -> Iterator[None]:
    """Puts a directory back as it was."""
    copy = directory.with_name(f"copy of {directory.name}")
    shutil.copytree(directory, copy)
    try:
        yield
    finally:
        if os.path.lexists(directory):
            _remove(directory)
        copy.rename(directory)


def _edit(name: str, what: str, change: Callable[[bytes], bytes]) -> Damage:
    def do(directory: Path) -> None:
        path = directory / name
        path.write_bytes(change(path.read_bytes()))

    return Damage(f"{name}: {what}", do)


def _turned(raw: bytes, bit: int) -> bytes:
    content = bytearray(raw)
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _as_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _as_link(path: Path) -> None:
    aside = path.parent.parent / "aside"
    if aside.exists():
        _remove(aside)
    os.rename(path, aside)
    path.symlink_to(aside)


def _deep(path: Path) -> None:
    path.mkdir()
    (path / "deeper").touch()


def _exchange(directory: Path, other: Path) -> None:
    shutil.rmtree(directory)
    shutil.copytree(other, directory)
