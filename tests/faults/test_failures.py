"""A save that fails says what failed, and leaves the checkpoint from before, or the new one.

This is the short form of ``faults.long``: every eighth failure.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from faults.failures import check_failure, disks, failures
from faults.recording import Image
from faults.scenarios import Scenario, scenarios
from states import assert_same

from hookrl.checkpoints import BACKENDS, CheckpointStore, encode, load, save

ALL = [*scenarios("torch"), *scenarios("torchsnapshot")]
SMALL = {"a": torch.arange(10)}
LARGE = {"a": torch.zeros(1 << 18)}


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_a_failing_save_leaves_a_whole_checkpoint(scenario: Scenario, folder: Path) -> None:
    number = scenario.count - 1
    before = disks(scenario, folder / "disks")[number]
    filled: Image = {}
    for index, failure in enumerate(failures(scenario, number, before, folder / "counting")):
        if index % 8 == 0:
            check_failure(scenario, number, before, filled, failure, folder / str(index))


@pytest.fixture
def limited() -> None:
    """No file may be larger than a few hundred kilobytes: the kernel says no in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_that_grows_too_large_is_an_error_that_names_it(
    backend: str, tmp_path: Path, limited: None
) -> None:
    save(SMALL, tmp_path / "state", backend)
    with pytest.raises(OSError, match=r"File too large: .*\.writing") as caught:
        save(LARGE, tmp_path / "state", backend)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename is not None
    assert_same(load(tmp_path / "state"), SMALL)
    save(SMALL, tmp_path / "state", backend)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_folder_that_is_read_only_is_an_error_that_names_it(backend: str, tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    CheckpointStore(place, backend=backend).write(10, encode(SMALL))
    place.chmod(0o500)
    with pytest.raises(PermissionError) as caught:
        CheckpointStore(place, backend=backend, resume=True).write(20, encode(SMALL))
    place.chmod(0o700)
    assert str(place) in str(caught.value.filename)
    assert_same(CheckpointStore(place, resume=True).read()[0], SMALL)


def test_a_small_disk_that_is_full_and_then_read_only(tmp_path: Path) -> None:
    script = Path(__file__).with_name("small_disk.py")
    mount = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", str(tmp_path), sys.executable]
    probe = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$1"', "sh", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here without being root")
    done = subprocess.run([*command, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
