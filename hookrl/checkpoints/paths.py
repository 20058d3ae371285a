"""File names that a checkpoint gives, which must not lead out of it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from hookrl.errors import InvalidValue


def inside(directory: Path, location: str) -> Path:
    """Return the file at `location` in a directory.

    Raises:
        InvalidValue: if that would be outside of it, is behind a link, or is not there.
    """
    if found := flaw(directory, location):
        raise InvalidValue(f"{directory} names the file {location!r}, which {found}.")
    return directory / location


def flaw(directory: Path, location: str) -> str | None:
    """Return what keeps `location` from being a file in a directory; None: nothing."""
    steps = PurePosixPath(location).parts
    if not steps or location.startswith("/") or ".." in steps or "\0" in location:
        return "leads out of the checkpoint"
    if any(directory.joinpath(*steps[:depth]).is_symlink() for depth in range(1, len(steps) + 1)):
        return "is a link"
    return None if (directory / location).is_file() else "is missing"
