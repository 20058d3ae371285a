"""Every operation by which a checkpoint changes what is on disk.

There are few of them and they go through one object, so that tests can record the operations of a
save and rebuild the disk as a crash would have left it after any of them: what was not synced may
be there, be there in part, or not be there.

Whatever fails is an OSError that names the file. Libraries are less careful: on a full disk
``torch.save`` raises a RuntimeError about the inside of its archive.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


class Disk:
    """The operations, as the operating system does them; each raises OSError if it cannot."""

    def make_directory(self, path: Path) -> None:
        """Make a directory; its parent must be there, and it must not."""
        path.mkdir()

    def write(self, path: Path, produce: Callable[[BinaryIO], object]) -> None:
        """Make a new file from what `produce` writes; durable only after `sync`."""
        with _naming(path), path.open("x+b") as file:
            produce(file)

    def fill(self, directory: Path, produce: Callable[[Path], object]) -> None:
        """Let other code write files into a directory; durable only after `sync_tree`."""
        with _naming(directory):
            produce(directory)

    def sync(self, path: Path) -> None:
        """Wait until a file's content, or a directory's entries, would survive a power cut."""
        with _naming(path):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file, link or directory another name, in one step; `new` is replaced.

        A directory replaces nothing but an empty one.
        """
        os.replace(old, new)

    def link(self, path: Path, target: str) -> None:
        """Make a symbolic link; `path` must not be there."""
        path.symlink_to(target)

    def remove(self, path: Path) -> None:
        """Remove a file, a link, or a directory with all there is in it."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    # ------------------------------------------------------- made of the above

    def sync_tree(self, directory: Path) -> None:
        """`sync` everything in a directory, innermost first, and the directory itself."""
        for entry in sorted(directory.iterdir()):
            if entry.is_dir():
                self.sync_tree(entry)
            else:
                self.sync(entry)
        self.sync(directory)

    def make_directories(self, path: Path) -> None:
        """Make a directory and those above it that are missing; they are synced."""
        if not path.is_dir():
            self.make_directories(path.parent)
            self.make_directory(path)
            self.sync(path.parent)

    def point(self, link: Path, target: str) -> None:
        """Let a symbolic link point to `target`, in one step, whatever was there before.

        Durable only after `sync` of the directory it is in.
        """
        temporary = link.with_name(f".{link.name}.link")
        if temporary.is_symlink():  # a crash left it
            self.remove(temporary)
        self.link(temporary, target)
        self.rename(temporary, link)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let what went wrong be an OSError that names a file."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = _cause(error)
        if cause is None or cause.filename is not None:
            raise
        number = cause.errno or errno.EIO
        raise OSError(number, cause.strerror or os.strerror(number), str(path)) from error


def _cause(error: BaseException | None) -> OSError | None:
    """The OSError behind an error, if there is one."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


DISK = Disk()
"""The one that is used."""
