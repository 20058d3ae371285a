"""Writing a file so that at every instant there is a complete one under its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what the block writes there becomes `path`.

    If the block raises, `path` is as it was and nothing is left beside it. What a kill leaves there
    is gone after the next write.
    """
    # One name for all processes, or what a killed one left would stay for good. Two that write the
    # same file at once would be in each other's way, but none do: a run, and all that is in its
    # directory, is written by one process, and so is a picture or a file of results.
    temporary = path.with_name(f".{path.stem}.writing{path.suffix}")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # the content is on disk before the name points to it
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
