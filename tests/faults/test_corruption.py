"""Whatever happens to a file of a checkpoint is seen, and the checkpoint before it is used.

This is the short form of ``faults.long``: fewer bits are turned.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.corruptions import FORMS, Place, check_damage, damages

from hookrl.checkpoints import BACKENDS


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", FORMS)
def test_damage_is_seen(form: str, backend: str, folder: Path) -> None:
    place, other = (Place(folder / name, form, backend) for name in ("place", "other"))
    for number in (0, 1):
        place.save(number)
        other.save(number + 2)
    found = [*damages(place.directories[1], other.directories[0], flips=25)]
    assert len(found) > 80
    for damage in found:
        check_damage(place, damage)
