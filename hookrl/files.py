"""Writing a file so that at every instant there is a complete one under its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what the block writes there becomes `path`.

    If the block raises, `path` is as it was and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # the content is on disk before the name points to it
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
