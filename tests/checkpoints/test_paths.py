"""File names that a checkpoint gives stay inside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hookrl.checkpoints.paths import flaw, inside
from hookrl.errors import InvalidValue


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("outside", "in/file", "in/deep/file"):
        (tmp_path / name).touch()
    (tmp_path / "in" / "link").symlink_to("file")
    (tmp_path / "in" / "way").symlink_to("deep")
    return tmp_path / "in"


@pytest.mark.parametrize("name", ["file", "deep/file", "./file", "deep//file"])
def test_a_file_inside_is_found(name: str, directory: Path) -> None:
    assert inside(directory, name).samefile(directory / name)


@pytest.mark.parametrize(
    "name", ["../outside", "deep/../../outside", "/etc/hostname", "//etc", "", ".", "..", "a\0b"]
)
def test_what_leads_out_is_refused(name: str, directory: Path) -> None:
    assert flaw(directory, name) == "leads out of the checkpoint"


def test_a_link_is_refused_even_inside(directory: Path) -> None:
    assert flaw(directory, "link") == "is a link"
    assert flaw(directory, "way/file") == "is a link"


@pytest.mark.parametrize("name", ["missing", "deep", "deep/missing", "file/further"])
def test_what_is_not_there_or_no_file_is_missing(name: str, directory: Path) -> None:
    assert flaw(directory, name) == "is missing"


def test_the_error_says_where_and_what(directory: Path) -> None:
    with pytest.raises(InvalidValue) as caught:
        inside(directory, "../outside")
    assert str(caught.value) == (
        f"{directory} names the file '../outside', which leads out of the checkpoint."
    )
