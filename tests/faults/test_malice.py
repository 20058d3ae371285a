"""A checkpoint made with ill intent is refused, runs nothing, and reads nothing from elsewhere."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from faults import malice_manifest, malice_snapshot, malice_torch
from faults.malice import check_attack, check_changes

from hookrl.checkpoints import BACKENDS

MODULES = [malice_manifest, malice_snapshot, malice_torch]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_an_attack_comes_to_nothing(module: object, folder: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, attack in enumerate(module.attacks()):
        place = folder / str(number)
        place.mkdir()
        try:
            check_attack(attack, place)
        except BaseException as error:
            error.add_note(attack.what)
            raise
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"{grown} kB more"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_changed_at_random_is_read_or_refused(backend: str, folder: Path) -> None:
    read = check_changes(backend, 1000, 0, folder)
    assert 0 < read < 500, "as many as changes that do no harm"
