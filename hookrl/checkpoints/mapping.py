"""Files as memory: tensors whose bytes are read from a checkpoint when they are looked at."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import torch

# Python knows the name from 3.13 on.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


def map_file(path: Path) -> mmap.mmap:
    """Map a file that is not empty; whoever changes the memory does not change the file.

    No memory is set aside for such changes: for a file larger than memory there would be none, and
    Linux refuses to map one otherwise. So only as much of it can be changed as there is memory.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        return mmap.mmap(
            file.fileno(),
            0,
            flags=mmap.MAP_PRIVATE | _NO_RESERVE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )


def bytes_at(content: mmap.mmap, start: int, size: int, unit: int) -> torch.Tensor:
    """Return some bytes of a mapped file as a tensor with a storage of its own.

    Args:
        content: the file, in which the bytes must be.
        start: where they begin.
        size: how many there are, from 1.
        unit: size of the numbers that they are. Where numbers do not begin at a multiple of their
            size, they cannot be used in place, and are copied.
    """
    if start % unit:
        return torch.frombuffer(bytearray(content[start : start + size]), dtype=torch.uint8)
    return torch.frombuffer(content, dtype=torch.uint8, count=size, offset=start)
