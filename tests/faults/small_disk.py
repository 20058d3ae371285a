"""Fills a file system of one megabyte, then makes it read-only; run in a namespace of its own."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hookrl.checkpoints import BACKENDS, CheckpointStore, encode, load, save


def refused(error: int, save: Callable[[], object]) -> None:
    with pytest.raises(OSError, match=os.strerror(error)) as caught:
        save()
    assert str(place) in str(caught.value.filename)


place = Path(sys.argv[1])
small, large = torch.arange(10), torch.zeros(1 << 18)
for backend in BACKENDS:
    path = place / backend
    save(small, path, backend)
    refused(errno.ENOSPC, lambda path=path, backend=backend: save(large, path, backend))
    assert torch.equal(load(path), small)
    save(small, path, backend)
    assert {entry.name for entry in place.iterdir()} == {path.name, f".{path.name}.versions"}
    store = CheckpointStore(place / "store", backend=backend, overwrite=True)
    store.write(10, encode(small))
    refused(errno.ENOSPC, lambda store=store: store.write(20, encode(large)))
    assert store.frames() == [10]
    assert {entry.name for entry in store.folder.iterdir()} == {"latest", "000000000010"}
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    refused(errno.EROFS, lambda path=path, backend=backend: save(small, path, backend))
    refused(errno.EROFS, lambda store=store: store.write(20, encode(small)))
    assert torch.equal(load(path), small)
    assert torch.equal(store.read()[0], small)
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    subprocess.run(["rm", "-r", *place.iterdir()], check=True)
