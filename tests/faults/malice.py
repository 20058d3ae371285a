"""Checkpoints made with ill intent: with sizes and hashes that are right, as anybody can make them.

Each attack changes the directory of a sound checkpoint, which is then sealed again. Reading it must
raise an InvalidValue, run nothing, open nothing outside, and take no more memory than the files
have.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from faults.places import quick_folder
from faults.recording import Image, QuickDisk, read_image, write_image

from hookrl.checkpoints import CheckpointStore, Manifest, encode, load
from hookrl.checkpoints.manifest import describe_files, write_manifest
from hookrl.checkpoints.payload import NAMES, read_state, write_payload
from hookrl.errors import InvalidValue

BIG = 10**13
"""As many bytes no machine has."""


@dataclass(frozen=True)
class Trap:
    """What an attack would like to touch."""

    secret: Path
    """A file outside of the checkpoint."""
    canary: Path
    """Made by whatever is run."""

    @property
    def command(self) -> str:
        return f"touch {self.canary}"


@dataclass(frozen=True)
class Attack:
    what: str
    backend: str
    do: Callable[[Path, Trap], object]
    """Called with the directory of the checkpoint."""
    sealed: bool = True
    """Whether the manifest is made anew afterwards; otherwise it is what is attacked."""


@functools.cache
def sound(backend: str) -> tuple[Image, Manifest]:
    """A store with one checkpoint; made once, since torchsnapshot takes its time."""
    with quick_folder() as folder:
        store = CheckpointStore(folder, backend=backend, disk=QuickDisk())
        state = {"a": torch.arange(200.0), "b": [torch.ones(3), "text"]}
        manifest = store.write(10, encode(state))
        return read_image(folder), manifest


def check_attack(attack: Attack, folder: Path) -> None:
    """Check that an attack comes to nothing, however the checkpoint is read."""
    trap = Trap(folder / "secret", folder / "canary")
    trap.secret.write_bytes(b"secret" * 10_000)
    place, bare = folder / "run", folder / "bare"
    image, manifest = sound(attack.backend)
    write_image(image, place)
    directory = place / f"{10:012d}"
    payload = directory / manifest.payload
    attack.do(directory, trap)
    if attack.sealed:
        seal(directory, manifest)
    _check_refused(trap, lambda: CheckpointStore(place, resume=True).read())
    if not directory.is_symlink():
        _check_refused(trap, lambda: load(directory))
    if attack.sealed and not payload.is_symlink():
        payload.rename(bare)  # as if copied from elsewhere: nothing is known of it
        _check_refused(trap, lambda: load(bare))


def _check_refused(trap: Trap, read: Callable[[], object]) -> None:
    start = time.monotonic()
    with _watched(trap.secret) as opened, pytest.raises(InvalidValue, match=r"\A[^\n]*\.\Z"):
        read()
    assert not opened, f"{opened[0]} was opened"
    assert not trap.canary.exists(), "something was run"
    assert trap.secret.exists(), "something was removed"
    assert time.monotonic() - start < 20, "it took long"


def check_changes(backend: str, count: int, seed: int, folder: Path) -> int:
    """Check that a state in which something was changed at random is read or refused.

    Nothing is known of it, so that no hash tells; whatever else its readers raise would end a run.
    Returns how many could be read.
    """
    generator = random.Random(seed)
    write_payload(encode([torch.arange(200.0), "text", (1, 2.5)]), folder, backend, QuickDisk())
    payload = folder / NAMES[backend]
    path = payload / ".snapshot_metadata" if backend == "torchsnapshot" else payload
    good, read = path.read_bytes(), 0
    for _ in range(count):
        content = bytearray(good)
        for _ in range(generator.choice([1, 1, 1, 2, 8])):
            place = generator.randrange(len(content))
            length = generator.choice([0, 1, 1, 1, 4])
            content[place : place + length] = generator.randbytes(generator.choice([0, 1, 1, 1, 4]))
        path.write_bytes(content)
        with contextlib.suppress(InvalidValue):
            read_state(payload)
            read += 1
    return read


def seal(directory: Path, manifest: Manifest) -> None:
    """Write a manifest that fits what is there."""
    (directory / "manifest.json").unlink(missing_ok=True)
    fitting = Manifest(
        number=manifest.number, backend=manifest.backend, files=describe_files(directory)
    )
    write_manifest(fitting, directory, QuickDisk())


_secret: Path | None = None
_opened: list[str] = []


@contextlib.contextmanager
def _watched(secret: Path) -> Iterator[list[str]]:
    """Collect what Python opens of a file, and what it runs."""
    global _secret
    if _audit not in _hooks:  # which cannot be taken away again
        sys.addaudithook(_audit)
        _hooks.append(_audit)
    _opened.clear()
    _secret = secret
    try:
        yield _opened
    finally:
        _secret = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _secret is None:
        return
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        if os.path.realpath(arguments[0]) == os.fspath(_secret.resolve()):
            _opened.append(os.fsdecode(arguments[0]))
    elif event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn"):
        _opened.append(event)


_hooks: list[Callable[[str, tuple[Any, ...]], None]] = []
