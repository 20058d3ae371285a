"""Looking at checkpoints without loading them into anything.

`inspect` lists what is in one, `verify` says whether it is sound, `diff` how two differ. A path may
be that of a single checkpoint, of the directory of one, or of a folder of them. What the functions
return is data; its ``str`` is made for reading.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hookrl.checkpoints.leaves import Change, Spread, change, kind, leaves, spread
from hookrl.checkpoints.manifest import NAME, CorruptCheckpoint, Manifest, problems, read_manifest
from hookrl.checkpoints.single import SingleCheckpoint
from hookrl.checkpoints.store import CheckpointStore
from hookrl.checkpoints.versions import Versions, read_directory
from hookrl.errors import InvalidValue, MissingFile

_LONG = 60
"""Characters of a value that are shown."""


class Entry(NamedTuple):
    """Something that a state holds."""

    path: str
    kind: str
    """Type and shape, as in ``float32 [64, 4]``."""
    value: Any
    """A plain value itself; None for a tensor."""
    size: int | None = None
    """Bytes of a tensor; None for a plain value."""
    spread: Spread | None = None
    """What the numbers in a tensor are like."""

    def __str__(self) -> str:
        if self.size is None:
            return f"{self.path}  {_shown(self.value)}"
        text = f"{self.path}  {self.kind}  {self.size:,} bytes"
        if self.spread is not None:
            least, most, mean, nans = self.spread
            text += f"  {least:.4g} to {most:.4g}, mean {mean:.4g}"
            text += f", {nans:,} NaN" if nans else ""
        return text


@dataclass(frozen=True)
class Listing:
    """What a checkpoint holds."""

    directory: Path
    manifest: Manifest
    entries: list[Entry]
    beside: list[int]
    """Numbers of all checkpoints in the same folder."""

    def __str__(self) -> str:
        about = {"backend": self.manifest.backend, "bytes": f"{self.manifest.size:,}"}
        if len(self.beside) > 1:
            about["beside it"] = ", ".join(
                str(number) for number in self.beside if number != self.manifest.number
            )
        about |= {key: _shown(value) for key, value in leaves(dict(self.manifest.about)).items()}
        lines = [str(self.directory), *(f"  {key.lstrip('/')}: {about[key]}" for key in about)]
        count = sum(entry.size is not None for entry in self.entries)
        lines.append(f"{len(self.entries):,} entries, {count:,} of them tensors:")
        return "\n".join([*lines, *(f"  {entry}" for entry in self.entries)])


@dataclass(frozen=True)
class Verification:
    """What is wrong with a checkpoint."""

    directory: Path
    files: dict[str, str | None]
    """What is wrong with each file; None: nothing."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.files.values())

    def __str__(self) -> str:
        lines = [f"{self.directory}: {'sound' if self.sound else 'DAMAGED'}"]
        return "\n".join([*lines, *(f"  {n}: {p or 'sound'}" for n, p in self.files.items())])


@dataclass(frozen=True)
class Verifications:
    """What is wrong with each of the checkpoints at a path, the newest first."""

    checkpoints: list[Verification]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with any."""
        return all(checkpoint.sound for checkpoint in self.checkpoints)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checkpoints))


class Difference(NamedTuple):
    """An entry that two states do not have in common."""

    path: str
    before: str
    """What the first has there; empty if nothing."""
    after: str
    """What the second has there; empty if nothing."""
    change: Change | None = None
    """How two tensors of one type and shape differ."""
    elements: int = 0
    """How many such tensors have."""

    def __str__(self) -> str:
        if self.change is not None:
            count, most = self.change
            by = "NaN" if math.isnan(most) else f"{most:.4g}"
            return f"{self.path}  {count:,} of {self.elements:,} elements, by at most {by}"
        if not self.after:
            return f"{self.path}  only in the first: {self.before}"
        if not self.before:
            return f"{self.path}  only in the second: {self.after}"
        return f"{self.path}  {self.before} → {self.after}"


@dataclass(frozen=True)
class Comparison:
    """How two states differ."""

    first: Path
    second: Path
    equal: int
    """How many entries are the same in both."""
    differences: list[Difference]

    def __str__(self) -> str:
        head = f"{self.first} and {self.second}: {self.equal:,} entries are equal"
        if not self.differences:
            return f"{head}, and there are no others."
        lines = [f"{head}, {len(self.differences):,} are not:", *map(str, self.differences)]
        return "\n  ".join(lines)


def inspect(path: str | Path) -> Listing:
    """Return what a checkpoint holds; of a folder, the latest.

    Raises:
        MissingFile: if there is none.
        CorruptCheckpoint: if it is damaged; `verify` says how.
        InvalidValue: if what is there is not a checkpoint.
    """
    directory = _chosen(Path(path))
    state, manifest = read_directory(directory)
    entries = [_entry(path, leaf) for path, leaf in leaves(state).items()]
    return Listing(directory, manifest, entries, Versions(directory.parent).numbers())


def verify(path: str | Path) -> Verifications:
    """Compare every file with the hash that was taken of it, and try to read what they say.

    Raises:
        MissingFile: if there is no checkpoint.
        InvalidValue: if what is there is not a checkpoint.
    """
    path = Path(path)
    single = SingleCheckpoint(path)
    folder = single.versions if single.number() is not None else Versions(path)
    numbers = folder.numbers()
    directories = [folder.path(number) for number in reversed(numbers)] or [_chosen(path)]
    return Verifications([_verified(directory) for directory in directories])


def diff(first: str | Path, second: str | Path) -> Comparison:
    """Return how the states of two checkpoints differ; of a folder, the latest is taken.

    Raises:
        MissingFile: if there is none.
        CorruptCheckpoint: if one is damaged.
        InvalidValue: if what is there is not a checkpoint.
    """
    directories = _chosen(Path(first)), _chosen(Path(second))
    before, after = (leaves(read_directory(directory)[0]) for directory in directories)
    paths = [*before, *(path for path in after if path not in before)]
    found = [_difference(path, before, after) for path in paths]
    differences = [difference for difference in found if difference is not None]
    return Comparison(*directories, len(paths) - len(differences), differences)


def _chosen(path: Path) -> Path:
    """The directory of the checkpoint that is meant by a path."""
    single = SingleCheckpoint(path)
    if (number := single.number()) is not None:
        return single.versions.path(number)
    if not path.exists():
        raise MissingFile(f"there is no checkpoint {path}.")
    place = path.resolve()
    for directory in (place, place.parent):
        if (directory / NAME).is_file():
            return directory
    latest = CheckpointStore(place, resume=True, backend="torch").latest()
    if latest is None:
        raise InvalidValue(
            f"{path} is no checkpoint with a {NAME}: expected one, or a folder of them."
        )
    return Versions(place).path(latest)


def _verified(directory: Path) -> Verification:
    try:
        manifest = read_manifest(directory)
    except InvalidValue as error:
        return Verification(directory, {NAME: str(error)})
    found: dict[str, str | None] = {NAME: None, **dict.fromkeys(manifest.files)}
    found |= dict(problems(directory, manifest))
    if not any(found.values()):
        try:
            read_directory(directory)
        except InvalidValue as error:
            where = NAME if isinstance(error, CorruptCheckpoint) else manifest.payload
            found[where] = str(error)
    return Verification(directory, found)


def _entry(path: str, leaf: Any) -> Entry:
    if isinstance(leaf, torch.Tensor):
        return Entry(path, kind(leaf), None, leaf.nbytes, spread(leaf))
    return Entry(path, kind(leaf), leaf)


def _difference(path: str, before: dict[str, Any], after: dict[str, Any]) -> Difference | None:
    if path not in after:
        return Difference(path, _told(before[path]), "")
    if path not in before:
        return Difference(path, "", _told(after[path]))
    one, other = before[path], after[path]
    tensors = isinstance(one, torch.Tensor), isinstance(other, torch.Tensor)
    if all(tensors) and kind(one) == kind(other):
        found = change(one, other)
        told = kind(one)
        return Difference(path, told, told, found, one.numel()) if found.elements else None
    # repr tells 1 from True and 1.0, and takes NaN for NaN.
    if any(tensors) or repr(one) != repr(other):
        return Difference(path, _told(one), _told(other))
    return None


def _told(leaf: Any) -> str:
    return kind(leaf) if isinstance(leaf, torch.Tensor) else _shown(leaf)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
