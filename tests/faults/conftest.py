from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.places import quick_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path
