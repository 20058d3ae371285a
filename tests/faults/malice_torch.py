"""Attacks by a torch file."""

from __future__ import annotations

import builtins
import gzip
import importlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from faults.malice import BIG, Attack, Trap

from hookrl.checkpoints import encode


class Call:
    """Pickled as a call of something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = (function, arguments)

    def __reduce__(self) -> Any:
        return self.what


class Stored:
    """Pickled as a reference to a storage."""

    def __init__(self, *parts: Any) -> None:
        self.parts = ("storage", *parts)


class StoragePickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.parts if isinstance(value, Stored) else None


def calls(trap: Trap) -> dict[str, Call]:
    return {
        "os.system": Call(os.system, trap.command),
        "exec": Call(builtins.exec, f"open({str(trap.canary)!r}, 'w')"),
        "eval": Call(builtins.eval, f"open({str(trap.canary)!r}, 'w')"),
        "open to write": Call(builtins.open, str(trap.canary), "w"),
        "open to read": Call(builtins.open, str(trap.secret)),
        "getattr": Call(builtins.getattr, os.system, "__call__"),
        "subprocess": Call(subprocess.Popen, ["touch", str(trap.canary)]),
        "import": Call(importlib.import_module, "this"),
        "rmtree": Call(shutil.rmtree, str(trap.secret.parent)),
        "unlink": Call(os.unlink, str(trap.secret)),
        "pickle.loads": Call(pickle.loads, pickle.dumps(Call(os.system, trap.command))),
        "torch.load": Call(torch.load, str(trap.secret)),
        "a big bytearray": Call(bytearray, BIG),
        "a big torch.Tensor": Call(torch.FloatTensor, BIG),
        "a class of the user": Call(Call, "a"),
        "a dtype of none": Call(torch.device, "cpu"),
    }


def contents() -> dict[str, Any]:
    """What such a file may hold that it should not, without any code."""
    skeleton, tensors = encode({"a": torch.arange(200.0)})
    good, nested = tensors["t0"], torch.arange(4.0).reshape(2, 2)
    base = {"skeleton": skeleton, "tensors": tensors}
    replaced = {
        "a parameter": torch.nn.Parameter(good),
        "a sparse tensor": nested.to_sparse(),
        "a quantized tensor": torch.quantize_per_tensor(good, 0.1, 0, torch.qint8),
        "a tensor without data": torch.empty(3, device="meta"),
        "a small storage that seems big": torch.zeros(1).expand(BIG),
        "overlapping elements": torch.zeros(4).as_strided((2, 2), (1, 1)),
        "a part of a storage": torch.zeros(1000)[:200],
        "text": "t0",
        "a set": {1},
        "a counter": Counter("t0"),
    }
    found = {f"{what} for a tensor": {**base, "tensors": {"t0": x}} for what, x in replaced.items()}
    two = '{"list": [{"tensor": "t0"}, {"tensor": "t1"}]}'
    return {
        **found,
        "one storage for two": {"skeleton": two, "tensors": {"t0": good, "t1": good}},
        "a tensor alone": good,
        "a list": [skeleton, tensors],
        "nothing": {},
        "no tensors": {"skeleton": skeleton},
        "something more": {**base, "more": 1},
        "a number for a skeleton": {**base, "skeleton": 1},
        "bytes for a skeleton": {**base, "skeleton": b"1"},
        "a list of tensors": {**base, "tensors": [good]},
        "a number for a name": {**base, "tensors": {0: good}},
    }


SKELETONS = {
    "no JSON": "{",
    "nothing": "",
    "a bare list": "[1]",
    "an unknown kind": '{"object": "os.system"}',
    "a module": '{"module": "os"}',
    "two kinds": '{"list": [], "tuple": []}',
    "no kind": "{}",
    "one kind twice": '{"list": [], "list": []}',
    "a missing tensor": '{"tensor": "t7"}',
    "a number for a tensor": '{"tensor": 0}',
    "a list for a tensor": '{"tensor": ["t0"]}',
    "a tensor twice": '{"list": [{"tensor": "t0"}, {"tensor": "t0"}]}',
    "a tensor left over": "1",
    "an object for items": '{"dict": {"a": 1}}',
    "text for items": '{"list": "ab"}',
    "null for items": '{"tuple": null}',
    "half an item": '{"dict": [["a"]]}',
    "an item too long": '{"dict": [["a", 1, 2]]}',
    "text for an item": '{"dict": ["ab"]}',
    "a key twice": '{"dict": [["a", 1], ["a", 2]]}',
    "a list for a key": '{"dict": [[["a"], 1]]}',
    "a marked list for a key": '{"dict": [[{"list": []}, 1]]}',
    "a mapping for a key": '{"dict": [[{"dict": []}, 1]]}',
    "a tensor for a key": '{"dict": [[{"tensor": "t0"}, 1]]}',
    "a key nested deep": '{"dict": [[' + '{"tuple": [' * 150 + "]}" * 150 + ", 1]]}",
    "nested deep": '{"list": [' * 150 + "]}" * 150,
    "nested very deep": '{"list": [' * 100_000 + "]}" * 100_000,
    "brackets without end": "[" * 1_000_000,
    "a number without end": "1" * 10_000,
    "a kind without end": '{"' + "x" * 1_000_000 + '": 1}',
}


def pickles(trap: Trap) -> dict[str, bytes]:
    """Pickles that torch would not write."""
    command = trap.command.encode()
    found = {
        "INST": b"(S'" + command + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + command + b"'\no.",
        "GLOBAL and REDUCE": b"cos\nsystem\n(S'" + command + b"'\ntR.",
        "an extension": b"\x80\x02\x82\x01.",
        "a module by another name": b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
        "no end": b"\x80\x02}",
        "nothing": b"",
        "garbage": bytes(range(256)),
        "a memo without end": b"\x80\x02}r\xff\xff\xff\x7f.",
        "a stack that is empty": b"\x80\x02R.",
        "a mark that is missing": b"\x80\x02t.",
        "text of a wrong length": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "a later protocol": b"\x80\x09}.",
        "state for a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}K\x00K\x00sb.",
        "a call of a storage": b"\x80\x02ctorch\nFloatStorage\nL%dL\n\x85R." % BIG,
    }
    usual = (torch.FloatStorage, "0", "cpu", 10)
    tensors = {
        "a storage larger than its file": tensor(
            (BIG,), (1,), 0, torch.FloatStorage, "0", "cpu", BIG
        ),
        "a storage a little larger": tensor((12,), (1,), 0, torch.FloatStorage, "0", "cpu", 12),
        "a tensor larger than its storage": tensor((BIG,), (1,), 0, *usual),
        "a tensor of negative size": tensor((-10,), (1,), 0, *usual),
        "a stride beyond the end": tensor((10,), (BIG,), 0, *usual),
        "an offset beyond the end": tensor((10,), (1,), 5, *usual),
        "a negative offset": tensor((10,), (1,), -5, *usual),
        "a storage of another file": tensor(
            (10,), (1,), 0, torch.FloatStorage, f"../../../{trap.secret}", "cpu", 10
        ),
        "a storage that is missing": tensor((10,), (1,), 0, torch.FloatStorage, "7", "cpu", 10),
        "a size that is text": tensor(("10",), (1,), 0, *usual),
        "a storage that is none": tensor((10,), (1,), 0, "a", "b"),
    }
    return {**found, **{what: pickled(value) for what, value in tensors.items()}}


def tensor(size: Any, stride: Any, offset: Any, *storage: Any) -> Call:
    """Pickled as torch pickles a tensor."""
    rebuild = torch._utils._rebuild_tensor_v2
    return Call(rebuild, Stored(*storage), offset, size, stride, False, OrderedDict())


def pickled(value: Any) -> bytes:
    """The pickle of a checkpoint with one tensor."""
    buffer = io.BytesIO()
    StoragePickler(buffer, 2).dump({"skeleton": '{"tensor": "t0"}', "tensors": {"t0": value}})
    return buffer.getvalue()


def archive(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """Make a file as torch does."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/data/0", bytes(40))
        file.writestr("archive/version", "3\n")


def files(trap: Trap) -> dict[str, Callable[[Path], object]]:
    """Other ways to make the file."""
    good = pickle.dumps({"skeleton": "1", "tensors": {}}, 2)
    evil = pickle.dumps(Call(os.system, trap.command), 2)

    def tar(path: Path) -> None:
        with tarfile.open(path, "w") as file:
            file.add(trap.secret, "storages")
            file.add(trap.secret, "pickle")

    def twice(path: Path) -> None:
        archive(path, good)
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("other/data.pkl", evil)

    def script(path: Path) -> None:
        archive(path, good)
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("archive/constants.pkl", evil)
            file.writestr("archive/code/__torch__.py", "import os")

    def without(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/version", "3\n")

    def outside(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("../../data.pkl", evil)

    def cut(path: Path) -> None:
        archive(path, good)
        path.write_bytes(path.read_bytes()[:-30])

    def another_order(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/data.pkl", good)
            file.writestr("archive/byteorder", "big" if sys.byteorder == "little" else "little")

    def misplaced(change: Callable[[zipfile.ZipInfo, zipfile.ZipInfo], object]) -> Any:
        """Two tensors, and a table of contents in which the place of the second was changed."""

        def make(path: Path) -> None:
            skeleton = '{"list": [{"tensor": "t0"}, {"tensor": "t1"}]}'
            tensors = {"t0": torch.ones(1000), "t1": torch.ones(1000)}
            torch.save({"skeleton": skeleton, "tensors": tensors}, path)
            with zipfile.ZipFile(path, "a") as file:
                places = {entry.filename.rpartition("/data/")[2]: entry for entry in file.filelist}
                change(places["0"], places["1"])
                file.writestr("more", b"")  # or the table would not be written

        return make

    def numbered_twice(path: Path) -> None:
        usual = tensor((10,), (1,), 0, torch.FloatStorage, "0", "cpu", 10)
        archive(path, pickled(usual))
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("other/data/0", bytes(40))

    def move(entry: zipfile.ZipInfo, to: int) -> None:
        entry.header_offset = to

    legacy = {"_use_new_zipfile_serialization": False}
    return {
        "another order of bytes": another_order,
        "one tensor twice": numbered_twice,
        "the bytes of another tensor": misplaced(lambda a, b: move(b, a.header_offset)),
        "some bytes of another tensor": misplaced(lambda a, b: move(b, a.header_offset + 64)),
        "bytes beyond the end": misplaced(lambda a, b: move(b, BIG)),
        "bytes across the end": misplaced(lambda a, b: move(b, b.header_offset + 4000)),
        "a bare pickle": lambda path: path.write_bytes(evil),
        "the old format": lambda path: torch.save(Call(os.system, trap.command), path, **legacy),
        "a tar": tar,
        "a gzipped pickle": lambda path: path.write_bytes(gzip.compress(evil)),
        "a compressed archive": lambda path: archive(path, good, zipfile.ZIP_DEFLATED),
        "a bomb": lambda path: archive(path, bytes(10**8), zipfile.ZIP_DEFLATED),
        "two pickles": twice,
        "a script": script,
        "an archive without a pickle": without,
        "an archive that leads out": outside,
        "an archive without its end": cut,
        "no content": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("hello"),
        "a link to the outside": lambda path: path.symlink_to(trap.secret),
        "a link to a link": lambda path: path.symlink_to(path),
        "a pipe": os.mkfifo,
        "a directory": Path.mkdir,
    }


def attacks() -> Iterator[Attack]:
    nowhere = Trap(Path("/secret"), Path("/canary"))

    def attack(what: str, make: Callable[[Path, Trap], object]) -> Attack:
        def do(directory: Path, trap: Trap) -> None:
            path = directory / "state.pt"
            path.unlink()
            make(path, trap)

        return Attack(f"torch: {what}", "torch", do)

    for name in calls(nowhere):
        for protocol in (2, 4):

            def save(path: Path, trap: Trap, name: str = name, protocol: int = protocol) -> None:
                content = {"skeleton": "1", "tensors": {"t0": calls(trap)[name]}}
                torch.save(content, path, pickle_protocol=protocol)

            yield attack(f"a call of {name}, protocol {protocol}", save)
    for name in contents():
        yield attack(name, lambda path, trap, name=name: torch.save(contents()[name], path))
    for name, skeleton in SKELETONS.items():

        def save_skeleton(path: Path, trap: Trap, skeleton: str = skeleton) -> None:
            torch.save({"skeleton": skeleton, "tensors": {"t0": torch.ones(2)}}, path)

        yield attack(f"a skeleton with {name}", save_skeleton)
    for name in pickles(nowhere):
        yield attack(
            f"a pickle: {name}", lambda path, trap, n=name: archive(path, pickles(trap)[n])
        )
    for name in files(nowhere):
        yield attack(f"a file: {name}", lambda path, trap, name=name: files(trap)[name](path))
