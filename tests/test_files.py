"""Files that are complete at every instant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hookrl.files import replacing

KILLED = """
import os, signal, sys
from pathlib import Path
from hookrl.files import replacing

with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half of something")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_gone_after_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert len([*tmp_path.iterdir()]) == 1
    with replacing(path) as temporary:
        assert not temporary.exists()
        temporary.write_text("new")
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "new"


def test_the_temporary_file_keeps_the_ending(tmp_path: Path) -> None:
    with replacing(tmp_path / "picture.png") as temporary:
        temporary.touch()
        assert temporary.suffix == ".png"
