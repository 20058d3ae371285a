"""Attacks by a manifest, with a digest that is right, and by what is around it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faults.malice import BIG, Attack, Trap


def edits(trap: Trap) -> dict[str, Callable[[dict[str, Any]], object]]:
    """Changes to what a manifest says."""
    secret = trap.secret.read_bytes() if trap.secret.exists() else b""
    entry = {
        "size": len(secret),
        "blake2b": hashlib.blake2b(secret, digest_size=32).hexdigest(),
    }
    names = {
        "above": f"../../{trap.secret.name}",
        "above, by a detour": f"state/../../../{trap.secret.name}",
        "absolute": str(trap.secret),
        "absolute, with two slashes": f"/{trap.secret}",
        "with a nul": f"{trap.secret}\0",
        "empty": "",
        "a dot": ".",
        "two dots": "..",
        "missing": "more",
    }
    found: dict[str, Callable[[dict[str, Any]], object]] = {
        f"a file {what}": lambda content, name=name: content["files"].update({name: entry})
        for what, name in names.items()
    }
    fields = {
        "a later version": {"version": 2},
        "a version that is text": {"version": "1"},
        "a version that is true": {"version": True},
        "a version with a half": {"version": 1.0},
        "no version": {"version": None},
        "another format": {"format": "other"},
        "a list for a format": {"format": ["hookrl checkpoint"]},
        "an unknown backend": {"backend": "pickle"},
        "a backend that leads out": {"backend": "../../secret"},
        "a list for a backend": {"backend": ["torch"]},
        "null for a backend": {"backend": None},
        "another number": {"number": 11},
        "a number that is text": {"number": "10"},
        "a number that is true": {"number": True},
        "a list of files": {"files": ["state.pt"]},
        "null for files": {"files": None},
        "no files": {"files": {}},
        "files without a size": {"files": {"state.pt": {"blake2b": ""}}},
        "files without a hash": {"files": {"state.pt": {"size": 1}}},
        "files with more": {"files": {"state.pt": {**entry, "more": 1}}},
        "files as numbers": {"files": {"state.pt": 1}},
        "a size that is text": {"files": {"state.pt": {**entry, "size": "1"}}},
        "a size that is huge": {"files": {"state.pt": {**entry, "size": BIG}}},
        "a size that is negative": {"files": {"state.pt": {**entry, "size": -1}}},
        "a hash that is a number": {"files": {"state.pt": {**entry, "blake2b": 1}}},
        "text for about": {"about": "text"},
        "something more": {"more": 1},
    }
    for what, value in fields.items():
        found[what] = lambda content, value=value: content.update(value)
    for name in ("format", "version", "number", "backend", "files", "about"):
        found[f"{name} left out"] = lambda content, name=name: content.pop(name)
    return found


def texts(good: bytes) -> dict[str, bytes]:
    """Manifests that hookrl would not write."""
    return {
        "no JSON": b"{",
        "nothing": b"",
        "null": b"null",
        "a list": b"[1]",
        "a number": b"1",
        "no UTF-8": good.replace(b"hookrl", b"\xff\xfe"),
        "UTF-16": good.decode().encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "a space more": good + b" ",
        "something twice": good.replace(b'"version": 1,', b'"version": 1, "version": 1,'),
        "nested very deep": b"[" * 1_000_000,
        "a number without end": b"1" * 10_000,
        "a tag": b"!!python/object/apply:os.system ['true']",
    }


def changes(trap: Trap) -> dict[str, Callable[[Path], object]]:
    """What may be where a checkpoint is, or its manifest."""

    def link(path: Path) -> None:
        shutil.move(path, trap.secret)
        path.symlink_to(trap.secret)

    def link_directory(directory: Path) -> None:
        outside = trap.secret.with_name("outside")
        shutil.move(directory, outside)
        directory.symlink_to(outside)

    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    return {
        "a link for a manifest": lambda directory: link(directory / "manifest.json"),
        "a pipe for a manifest": lambda directory: pipe(directory / "manifest.json"),
        "a directory for a manifest": lambda directory: folder(directory / "manifest.json"),
        "a link for the state": lambda directory: link(directory / "state.pt"),
        "a pipe for the state": lambda directory: pipe(directory / "state.pt"),
        "a directory for the state": lambda directory: folder(directory / "state.pt"),
        "a link for the directory": link_directory,
    }


def seal(content: dict[str, Any]) -> bytes:
    """The text of a manifest that says this, made from what is known of the format."""
    digest = hashlib.blake2b(json.dumps(content).encode(), digest_size=32).hexdigest()
    return json.dumps({**content, "digest": digest}, indent=1).encode()


def attacks() -> Iterator[Attack]:
    nowhere = Trap(Path("/secret"), Path("/canary"))

    def attack(what: str, do: Callable[[Path, Trap], object]) -> Attack:
        return Attack(f"manifest: {what}", "torch", do, sealed=False)

    for name in edits(nowhere):

        def edit(directory: Path, trap: Trap, name: str = name) -> None:
            path = directory / "manifest.json"
            content = json.loads(path.read_text())
            del content["digest"]
            assert seal(content) == path.read_bytes()
            edits(trap)[name](content)
            path.write_bytes(seal(content))

        yield attack(name, edit)
    for name in texts(b""):

        def write(directory: Path, trap: Trap, name: str = name) -> None:
            path = directory / "manifest.json"
            path.write_bytes(texts(path.read_bytes())[name])

        yield attack(name, write)
    for name in changes(nowhere):
        yield attack(name, lambda path, trap, name=name: changes(trap)[name](path))
