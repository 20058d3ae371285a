"""Attacks by a torchsnapshot directory."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from faults.malice import BIG, Attack, Trap
from faults.malice_torch import SKELETONS, Call

_TENSOR = "0/checkpoint/tensors/t0"
"""Of 200 float32, at the beginning of a file."""


def edits(trap: Trap) -> dict[str, Callable[[dict[str, Any], dict[str, Any]], object]]:
    """Changes to the metadata; called with the entry of a tensor and all of the entries."""
    secret = str(trap.secret)
    locations = {
        "above": f"../../../{trap.secret.name}",
        "above, by a detour": f"batched/../../../../{trap.secret.name}",
        "absolute": secret,
        "absolute, with two slashes": f"/{secret}",
        "with a nul": f"{secret}\0",
        "empty": "",
        "a dot": ".",
        "two dots": "..",
        "a directory": "batched",
        "missing": "batched/none",
        "the metadata, which is longer": ".snapshot_metadata/..",
        "a number": 7,
        "null": None,
        "a list": [secret],
        "a url": f"file://{secret}",
        "of a cloud": "s3://bucket/key",
    }
    found: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
        f"a location that is {what}": lambda tensor, _, value=value: tensor.update(location=value)
        for what, value in locations.items()
    }
    shapes = {
        "huge": [BIG],
        "huge in steps": [10**5, 10**5, 10**5],
        "negative": [-200],
        "twice negative": [-10, -20],
        "with a half": [200.0],
        "text": ["200"],
        "true": [True],
        "a number": 200,
        "null": None,
        "nested": [[200]],
        "of another size": [199],
    }
    for what, value in shapes.items():
        found[f"a shape that is {what}"] = lambda tensor, _, v=value: tensor.update(shape=v)
        found[f"a shape that is {what}, in both places"] = lambda tensor, entries, v=value: (
            tensor.update(shape=v),
            _set_kinds(entries, {"t0": ["float32", v, None]}),
        )
    ranges = {
        "beyond the end": [10**6, 10**6 + 800],
        "huge": [0, BIG],
        "backward": [800, 0],
        "negative": [-800, 0],
        "with a half": [0.0, 800.0],
        "text": ["0", "800"],
        "one number": [800],
        "three numbers": [0, 400, 800],
        "a number": 800,
        "too short": [0, 4],
    }
    for what, value in ranges.items():
        found[f"bytes that are {what}"] = lambda tensor, _, v=value: tensor.update(byte_range=v)
    fields = {
        "an object": {"type": "object", "serializer": "torch_save", "obj_type": "dict"},
        "a pickled tensor": {"serializer": "torch_save"},
        "a quantized tensor": {"serializer": "per_tensor_qtensor"},
        "a sharded tensor": {"type": "ShardedTensor", "shards": []},
        "an unknown type": {"type": "os.system"},
        "a list for a type": {"type": ["Tensor"]},
        "an unknown dtype": {"dtype": "torch.load"},
        "another dtype": {"dtype": "torch.float64"},
        "a dtype by attribute": {"dtype": "torch.nn.Linear"},
        "a number for a dtype": {"dtype": 3},
        "no chunks": {"type": "ChunkedTensor", "chunks": []},
        "null for chunks": {"type": "ChunkedTensor", "chunks": None},
        "empty chunks": {"type": "ChunkedTensor", "chunks": [{}]},
    }
    for what, value in fields.items():
        found[what] = lambda tensor, _, v=value: tensor.update(v)
    kinds = {
        "a function for a dtype": {"t0": ["load", [200], None]},
        "a module for a dtype": {"t0": ["nn", [200], None]},
        "a quantized dtype": {"t0": ["qint8", [800], None]},
        "a dtype too large": {"t0": ["float64", [200], None]},
        "empty and huge": {"t0": ["float32", [0, BIG, BIG, BIG], None]},
        "elements that overlap": {"t0": ["float32", [200], [0]]},
        "elements with gaps": {"t0": ["float32", [200], [2]]},
        "elements backward": {"t0": ["float32", [200], [-1]]},
        "too few strides": {"t0": ["float32", [200], []]},
        "text for strides": {"t0": ["float32", [200], ["1"]]},
        "too few parts": {"t0": ["float32"]},
        "nothing": {},
        "a list": [],
        "null": None,
        "one that is missing": {"t9": ["float32", [200], None]},
        "a name that leads out": {"../../secret": ["float32", [200], None]},
        "a great many of one": {f"t{n}": ["float32", [200], None] for n in range(1000)},
    }
    for what, value in kinds.items():
        found[f"kinds: {what}"] = lambda _, entries, v=value: _set_kinds(entries, v)
    found["kinds that are no JSON"] = lambda _, entries: entries["0/checkpoint/kinds"].update(
        serialized_value="!!python/name:os.system"
    )
    found["kinds as a number"] = lambda _, entries: entries["0/checkpoint/kinds"].update(
        serialized_value=1
    )
    found["no kinds"] = lambda _, entries: entries.pop("0/checkpoint/kinds")
    found["no skeleton"] = lambda _, entries: entries.pop("0/checkpoint/skeleton")
    found["entries that are no objects"] = lambda _, entries: entries.update({_TENSOR: 1})
    found["chunks in chunks"] = _chunks_in_chunks
    found["one file for many chunks"] = _many_chunks
    found["one file for two tensors"] = lambda tensor, entries: (
        _set_kinds(entries, {f"t{n}": ["float32", [200], None] for n in range(2)}),
        entries.update({"0/checkpoint/tensors/t1": tensor}),
        entries["0/checkpoint/skeleton"].update(
            serialized_value='{"list": [{"tensor": "t0"}, {"tensor": "t1"}]}'
        ),
    )
    for name, skeleton in SKELETONS.items():
        found[f"a skeleton with {name}"] = lambda _, entries, skeleton=skeleton: entries[
            "0/checkpoint/skeleton"
        ].update(serialized_value=skeleton)
    return found


def _set_kinds(entries: dict[str, Any], kinds: Any) -> None:
    entries["0/checkpoint/kinds"]["serialized_value"] = json.dumps(kinds)


def _chunks_in_chunks(tensor: dict[str, Any], entries: dict[str, Any]) -> None:
    inner = dict(tensor)
    for _ in range(100):
        chunk = {"offsets": [0], "sizes": [200], "tensor": inner}
        inner = {"type": "ChunkedTensor", "chunks": [chunk]}
    entries[_TENSOR] = inner


def _many_chunks(tensor: dict[str, Any], entries: dict[str, Any]) -> None:
    chunks = [{"offsets": [n], "sizes": [200], "tensor": tensor} for n in range(10_000)]
    entries[_TENSOR] = {"type": "ChunkedTensor", "chunks": chunks}
    _set_kinds(entries, {"t0": ["float32", [200 * 10_000], None]})


def texts(trap: Trap) -> dict[str, bytes]:
    """Metadata that torchsnapshot would not write."""
    command = json.dumps(trap.command)
    return {
        "a tag that calls": b"!!python/object/apply:os.system [" + command.encode() + b"]",
        "a tag that makes": b"!!python/object/new:os.system [" + command.encode() + b"]",
        "a tag of a module": b"manifest: !!python/module:os",
        "yaml that is no JSON": b"manifest:\n  0/checkpoint/skeleton: {serialized_value: '1'}\n",
        "yaml that repeats itself": b"a: &a [1]\nb: &b [*a, *a]\nmanifest: [*b, *b]\n",
        "no UTF-8": b'{"manifest": {"\xff": 1}}',
        "UTF-16": '{"manifest": {}}'.encode("utf-16"),
        "a byte order mark": '{"manifest": {}}'.encode("utf-8-sig"),
        "nothing": b"",
        "a nul": b"\0",
        "null": b"null",
        "a list": b"[]",
        "no manifest": b"{}",
        "null for a manifest": b'{"manifest": null}',
        "a list for a manifest": b'{"manifest": ["0/checkpoint/skeleton"]}',
        "a manifest twice": b'{"manifest": {}, "manifest": {}}',
        "nested very deep": b'{"manifest":' * 100_000,
        "brackets without end": b"[" * 1_000_000,
        "a number without end": b'{"manifest": ' + b"1" * 10_000 + b"}",
    }


def changes(trap: Trap) -> dict[str, Callable[[Path], object]]:
    """Other changes to the directory."""

    def data(directory: Path) -> Path:
        (path,) = (directory / "batched").iterdir()
        return path

    def link_file(directory: Path) -> None:
        path = data(directory)
        trap.secret.write_bytes(path.read_bytes())
        path.unlink()
        path.symlink_to(trap.secret)

    def link_folder(directory: Path) -> None:
        outside = trap.secret.with_name("outside")
        shutil.copytree(directory / "batched", outside)
        shutil.rmtree(directory / "batched")
        (directory / "batched").symlink_to(outside)

    def link_metadata(directory: Path) -> None:
        path = directory / ".snapshot_metadata"
        path.rename(trap.secret)
        path.symlink_to(trap.secret)

    def pipe(directory: Path) -> None:
        path = data(directory)
        path.unlink()
        os.mkfifo(path)

    def pickled(directory: Path) -> None:
        buffer = io.BytesIO()
        torch.save(Call(os.system, trap.command), buffer)
        for each in (buffer.getvalue(), pickle.dumps(Call(os.system, trap.command))):
            data(directory).write_bytes(each)
            _edit(
                directory, lambda tensor, _: tensor.update(type="object", serializer="torch_save")
            )

    def replace(directory: Path) -> None:
        shutil.rmtree(directory)
        directory.symlink_to(trap.secret.parent)

    return {
        "a link for a file": link_file,
        "a link for a folder": link_folder,
        "a link for the metadata": link_metadata,
        "a link for all": replace,
        "a pipe for a file": pipe,
        "a pickled object": pickled,
        "no metadata": lambda directory: (directory / ".snapshot_metadata").unlink(),
        "no file": lambda directory: data(directory).unlink(),
        "an empty file": lambda directory: data(directory).write_bytes(b""),
        "a file too short": lambda directory: os.truncate(data(directory), 799),
        "a file too long": lambda directory: os.truncate(data(directory), 2000),
        "a file more": lambda directory: (directory / "more").write_bytes(b"1"),
    }


def _edit(directory: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    path = directory / ".snapshot_metadata"
    content = json.loads(path.read_text())
    change(content["manifest"][_TENSOR], content["manifest"])
    path.write_text(json.dumps(content))


def attacks() -> Iterator[Attack]:
    nowhere = Trap(Path("/secret"), Path("/canary"))

    def attack(what: str, do: Callable[[Path, Trap], object]) -> Attack:
        return Attack(
            f"torchsnapshot: {what}", "torchsnapshot", lambda place, trap: do(place / "state", trap)
        )

    for name in edits(nowhere):
        yield attack(name, lambda path, trap, name=name: _edit(path, edits(trap)[name]))
    for name in texts(nowhere):
        yield attack(
            f"metadata: {name}",
            lambda path, trap, n=name: (path / ".snapshot_metadata").write_bytes(texts(trap)[n]),
        )
    for name in changes(nowhere):
        yield attack(name, lambda path, trap, name=name: changes(trap)[name](path))
