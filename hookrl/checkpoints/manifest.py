"""The manifest of a checkpoint: what it is, and the size and hash of every file it consists of.

Neither backend notices a flipped bit, and torchsnapshot not even a truncated file. The manifest is
written last and read first; it ends with a hash of itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hookrl.checkpoints.disk import Disk
from hookrl.checkpoints.paths import flaw
from hookrl.checkpoints.payload import NAMES
from hookrl.checkpoints.strict import parse
from hookrl.errors import InvalidType, InvalidValue

NAME = "manifest.json"
FORMAT = "hookrl checkpoint"
VERSION = 1
"""Of the format; a later one is refused."""
_PIECE = 1 << 24
"""Bytes that are hashed at once: with small ones a hash in the background would ask for the
interpreter so often that training is slowed."""
_FIELDS = {"format", "version", "number", "backend", "files", "about"}


class CorruptCheckpoint(InvalidValue):
    """A checkpoint that is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a checkpoint says of itself."""

    number: int
    """Under which it was saved."""
    backend: str
    """"torch" or "torchsnapshot"."""
    files: Mapping[str, Mapping[str, Any]]
    """``size`` in bytes and ``blake2b`` of each file, by its path in the checkpoint."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Plain values that whoever saved wanted to be known without reading the state."""

    @property
    def payload(self) -> str:
        """Name of the file or directory that holds the state."""
        return NAMES[self.backend]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file["size"] for file in self.files.values())


def describe_files(directory: Path) -> dict[str, dict[str, Any]]:
    """Return size and hash of every file in a directory, by its relative path, in order."""
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {
        path.relative_to(directory).as_posix(): {
            "size": path.stat().st_size,
            "blake2b": _hash_of(path),
        }
        for path in files
    }


def check_about(about: Any, place: str = "about") -> None:
    """Check that a manifest can hold a value and give it back.

    Raises:
        InvalidType: for anything but plain values, and lists and mappings with text for keys.
    """
    if isinstance(about, Mapping):
        for key, value in about.items():
            if not isinstance(key, str):
                raise InvalidType(f"{place} has the key {key!r}: expected text.")
            check_about(value, f"{place}[{key!r}]")
    elif isinstance(about, list | tuple):
        for index, value in enumerate(about):
            check_about(value, f"{place}[{index}]")
    elif not isinstance(about, str | int | float | bool | None):
        raise InvalidType(
            f"{place} is a {type(about).__name__}: expected a plain value, or a list or mapping of "
            "those."
        )


def write_manifest(manifest: Manifest, directory: Path, disk: Disk) -> None:
    """Write the manifest of a checkpoint into its directory; it is not synced.

    Raises:
        OSError: if the disk is full or does not answer.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "number": manifest.number,
        "backend": manifest.backend,
        "files": manifest.files,
        "about": manifest.about,
    }
    disk.write(directory / NAME, lambda file: file.write(_render(content)))


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of the checkpoint in a directory.

    Raises:
        CorruptCheckpoint: if it is missing or damaged.
        InvalidValue: if its format is a later one, or it says what no manifest says.
        OSError: if it cannot be read.
    """
    path = directory / NAME
    if path.is_symlink():
        raise CorruptCheckpoint(f"the checkpoint {directory} has a link for its {NAME}.")
    if not path.is_file():
        raise CorruptCheckpoint(f"the checkpoint {directory} lacks its {NAME}.")
    raw = path.read_bytes()
    try:
        content = parse(raw, NAME)
        del content["digest"]
        sound = content["format"] == FORMAT and raw == _render(content)
        version = content["version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        sound, version, content = False, None, None
    if not sound:
        raise CorruptCheckpoint(f"the checkpoint {directory} has a damaged {NAME}.")
    if type(version) is int and version != VERSION:
        raise InvalidValue(
            f"the checkpoint {directory} has format version {version}: this hookrl reads version "
            f"{VERSION}; a later one can read it."
        )
    if set(content) != _FIELDS or not _is_valid(content):
        raise InvalidValue(f"the checkpoint {directory} has a {NAME} of unknown content.")
    return Manifest(**{key: content[key] for key in ("number", "backend", "files", "about")})


def problems(directory: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield each file that is not what the manifest says, with what is wrong; reads them all."""
    for name in sorted({*_names(directory)} - {NAME, *manifest.files}):
        yield name, "is not of this checkpoint"
    for name, expected in manifest.files.items():
        if found := flaw(directory, name):
            yield name, found
        elif (size := (directory / name).stat().st_size) != expected["size"]:
            yield name, f"has {size} bytes, expected {expected['size']}"
        elif _hash_of(directory / name) != expected["blake2b"]:
            yield name, "has changed"


def verify_files(directory: Path, manifest: Manifest) -> None:
    """Check that every file of a checkpoint is there, and what was written, and nothing else.

    Raises:
        CorruptCheckpoint: naming the first file that is not.
        OSError: if a file cannot be read.
    """
    for name, problem in problems(directory, manifest):
        raise CorruptCheckpoint(f"the checkpoint {directory} is damaged: {name!r} {problem}.")


def _names(directory: Path) -> list[str]:
    """The relative paths of everything in a directory that is no directory."""
    return [
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_symlink() or not path.is_dir()
    ]


def _is_valid(content: Mapping[str, Any]) -> bool:
    """Whether a sound manifest has fields of the right kinds: whoever made it can make hashes."""
    files = content["files"]
    return (
        type(content["version"]) is int
        and type(content["number"]) is int
        and isinstance(content["backend"], str)
        and content["backend"] in NAMES
        and isinstance(content["about"], dict)
        and isinstance(files, dict)
        and all(
            isinstance(file, dict)
            and set(file) == {"size", "blake2b"}
            and type(file["size"]) is int
            and isinstance(file["blake2b"], str)
            for file in files.values()
        )
    )


def _hash_of(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    piece = memoryview(bytearray(min(path.stat().st_size, _PIECE) or 1))
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(piece):
            digest.update(piece[:read])
    return digest.hexdigest()


def _render(content: Mapping[str, Any]) -> bytes:
    """The one text of a manifest, ending with a hash of the rest."""
    digest = hashlib.blake2b(json.dumps(content).encode(), digest_size=32).hexdigest()
    return json.dumps({**content, "digest": digest}, indent=1).encode()
