"""Trainings on a device that is not the host, and what waits for it.

They run on a device that only pretends to be one (see `pretend`), each in a process of its own.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAMES = ("ppo", "ppo_box", "ppo_sync", "dqn", "dqn_prioritized", "sac")


@functools.cache
def outcome(name: str) -> dict[str, Any]:
    """What `trainings` prints."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, HERE / "trainings.py", name],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not run.returncode, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_a_device_learns_what_the_host_learns_and_goes_on_from_a_checkpoint(name: str) -> None:
    found = outcome(name)
    assert found["steps"][1] > found["steps"][0] > 0
    # Policies and critics of SAC are summed in another order through another layout.
    assert max(found["apart"]) <= (1e-6 if name == "sac" else 0)


@pytest.mark.parametrize("name", ["ppo", "ppo_box"])
def test_nothing_waits_in_a_step_of_ppo_but_its_guard(name: str) -> None:
    found = outcome(name)
    steps = found["steps"][1] - found["steps"][0]
    assert found["waits"]["a number of hooks/nan_guard.py"] == steps
    often = {place for place, count in found["waits"].items() if count >= steps}
    assert often == {"a number of hooks/nan_guard.py"}


@pytest.mark.parametrize("name", ["dqn", "sac"])
def test_nothing_waits_to_sample_or_for_the_noise_of_a_loss(name: str) -> None:
    found = outcome(name)
    places = ("replay/buffer.py", f"objectives/{name}.py")
    assert sum(n for place, n in found["waits"].items() if place.endswith(places)) <= 1
    assert not [place for place in found["waits"] if place.startswith("all there is")]


def test_collecting_from_tensor_environments_waits_once_for_a_batch() -> None:
    waits = outcome("ppo")["waits"]
    assert waits["reading of collectors/tensor.py"] == 2
    assert not [place for place in waits if place.startswith("sending of collectors")]
