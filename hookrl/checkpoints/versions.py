"""A folder of checkpoints, each written aside and put in place in one step.

How a checkpoint comes to be, and why a crash at any instant leaves one that can be read:

1. a directory ``.writing`` is made, and the state written into it;
2. sizes and hashes are taken from the files as they read back, and the manifest written;
3. everything is synced: the content of the files, then the directories that list them;
4. ``.writing`` is renamed to the checkpoint's name, and the folder synced. If there is one of that
   number already, the new one is called its next revision.

Before step 4 there is no checkpoint of that name, after it there is a complete one. Renaming before
syncing could leave a name without content; writing in place could leave half of each.

Removing goes the other way: what is to be removed loses its name, which is synced, and only then
its content. So a checkpoint's name always stands for a whole checkpoint. Leftovers of either kind
are cleared away by the next save.
"""

from __future__ import annotations

import contextlib
import errno
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hookrl.checkpoints.codec import Encoded
from hookrl.checkpoints.disk import DISK, Disk
from hookrl.checkpoints.manifest import (
    CorruptCheckpoint,
    Manifest,
    check_about,
    describe_files,
    read_manifest,
    verify_files,
    write_manifest,
)
from hookrl.checkpoints.payload import read_state, write_payload
from hookrl.errors import InvalidValue, MissingFile

_WRITING, _REMOVING = ".writing", ".removing-"
_DECAY = {errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ENOENT}
"""What a file system answers when the medium has lost a file."""


class _Revision(NamedTuple):
    """One checkpoint that is there; the last of a number counts."""

    number: int
    revision: int

    @property
    def name(self) -> str:
        return f"{self.number:012d}" + (f".{self.revision}" if self.revision else "")

    @staticmethod
    def of(name: str) -> _Revision | None:
        """The one of a name; None: it is no checkpoint's."""
        match = re.fullmatch(r"(\d{12,})(?:\.(\d+))?", name, re.ASCII)
        revision = _Revision(int(match[1]), int(match[2] or 0)) if match else None
        return revision if revision is not None and revision.name == name else None


class Versions:
    """Numbered checkpoints in a folder.

    Args:
        folder: where they are; made at the first save.
        disk: does what changes the disk.
    """

    def __init__(self, folder: Path, disk: Disk = DISK) -> None:
        self.folder = folder
        self.disk = disk

    def numbers(self) -> list[int]:
        """Return the numbers of the checkpoints that are there, ascending."""
        return sorted({revision.number for revision in self._revisions()})

    def path(self, number: int) -> Path:
        """Return where the checkpoint of a number is; of several revisions, the newest.

        Raises:
            MissingFile: if it is not there.
        """
        return self.folder / self._newest_of(number).name

    def write(
        self, number: int, encoded: Encoded, backend: str, about: Mapping[str, Any]
    ) -> Manifest:
        """Write a checkpoint, which comes in the place of one of the same number.

        The one before it, even of the same number, is there until `keep` is called.

        Raises:
            InvalidType: for an `about` that cannot be stored; nothing is written then.
            InvalidValue: for a negative number.
            OSError: if the disk is full or does not answer; what was there before still is.
        """
        if number < 0:
            raise InvalidValue(f"a checkpoint cannot have the number {number}: expected 0 or more.")
        check_about(about)
        disk, writing = self.disk, self.folder / _WRITING
        disk.make_directories(self.folder)
        self._clear_away()
        disk.make_directory(writing)
        try:
            write_payload(encoded, writing, backend, disk)
            files = describe_files(writing)
            manifest = Manifest(number=number, backend=backend, files=files, about=about)
            write_manifest(manifest, writing, disk)
            disk.sync_tree(writing)
            there = [revision for n, revision in self._revisions() if n == number]
            new = _Revision(number, max(there, default=-1) + 1)
            disk.rename(writing, self.folder / new.name)
            disk.sync(self.folder)
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong first is what is told
                if writing.exists():
                    disk.remove(writing)
            raise
        return manifest

    def manifest(self, number: int) -> Manifest:
        """Return what a checkpoint says of itself; its files are not read.

        Raises:
            MissingFile: if it is not there.
            CorruptCheckpoint, InvalidValue: if it cannot be understood.
        """
        return read_manifest(self.path(number))

    def read(self, number: int) -> tuple[Any, Manifest]:
        """Return the state and the manifest of a checkpoint, verified; tensors are on the CPU.

        Raises:
            MissingFile: if it is not there.
            CorruptCheckpoint, InvalidValue: if it is not what was written.
        """
        return self._read(self._newest_of(number))

    def read_newest(self, first: int | None = None) -> tuple[Any, Manifest]:
        """Return state and manifest of the newest checkpoint that is sound.

        Args:
            first: which to try before all others, as what a pointer says is the newest; then the
                older ones, and at last those after it.

        Raises:
            MissingFile: if there is none at all.
            CorruptCheckpoint: if none is sound; it names them all.
            InvalidValue: if the newest is undamaged but not of this format.
        """
        listed = self._revisions()
        revisions = listed[::-1]
        if first is not None:
            revisions.sort(key=lambda revision: revision.number > first)
        refused: list[str] = []
        if first is not None and first not in self.numbers():
            refused.append(f"the checkpoint {first} in {self.folder} is missing.")
        for revision in revisions:
            try:
                state, manifest = self._read(revision)
            except InvalidValue as error:
                if not isinstance(error, CorruptCheckpoint) and not refused:
                    raise
                refused.append(str(error))
                continue
            for reason in refused:
                warnings.warn(f"{reason} {revision.name} is used instead.", stacklevel=3)
            return state, manifest
        if self._revisions() != listed:  # another process has saved, and removed what was listed
            return self.read_newest(first)
        if not revisions:
            raise MissingFile(f"there is no checkpoint in {self.folder}.")
        raise CorruptCheckpoint(" ".join(refused))

    def keep(self, numbers: Iterable[int]) -> None:
        """Remove every checkpoint but the newest of each of these numbers.

        Raises:
            MissingFile: if one of them is not there; nothing is removed then.
            OSError: if the disk does not answer.
        """
        kept = {self._newest_of(number) for number in numbers}
        aside = []
        for revision in self._revisions():
            if revision not in kept:
                aside.append(self.folder / f"{_REMOVING}{revision.name}")
                self.disk.rename(self.folder / revision.name, aside[-1])
        if aside:
            self.disk.sync(self.folder)
        for path in aside:
            self.disk.remove(path)

    def _revisions(self) -> list[_Revision]:
        """Every checkpoint that is there, ascending."""
        if not self.folder.is_dir():
            return []
        found = (_Revision.of(path.name) for path in self.folder.iterdir())
        return sorted(revision for revision in found if revision is not None)

    def _newest_of(self, number: int) -> _Revision:
        revisions = self._revisions()
        if not any(revision.number == number for revision in revisions):
            have = ", ".join(map(str, self.numbers())) or "none"
            raise MissingFile(f"{self.folder} has no checkpoint {number}: expected one of {have}.")
        return max(revision for revision in revisions if revision.number == number)

    def _read(self, revision: _Revision) -> tuple[Any, Manifest]:
        directory = self.folder / revision.name
        if directory.is_symlink():
            raise CorruptCheckpoint(f"the checkpoint {directory} is a link.")
        return read_directory(directory)

    def _clear_away(self) -> None:
        for path in self.folder.iterdir():
            if path.name == _WRITING or path.name.startswith(_REMOVING):
                self.disk.remove(path)


def read_directory(directory: Path) -> tuple[Any, Manifest]:
    """Return the state and the manifest of the checkpoint in a directory, verified.

    Raises:
        CorruptCheckpoint: if it is damaged, or the medium is.
        InvalidValue: if its format is a later one, or it was made with ill intent.
        OSError: if it cannot be read for another reason.
    """
    try:
        manifest = read_manifest(directory)
        named = _Revision.of(directory.name)
        if named is not None and named.number != manifest.number:
            raise CorruptCheckpoint(
                f"the checkpoint {directory} says that it is number {manifest.number}."
            )
        verify_files(directory, manifest)
        return read_state(directory / manifest.payload), manifest
    except OSError as error:
        if error.errno not in _DECAY:
            raise
        raise CorruptCheckpoint(
            f"the checkpoint {directory} cannot be read: {error.strerror}."
        ) from error
