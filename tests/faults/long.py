"""The long form of the tests in this folder: every case there is, and a table of how they end.

    PYTHONPATH=tests python -m faults.long                # everything, some minutes
    PYTHONPATH=tests python -m faults.long crashes kills  # or any of: failures corruption malice

The exit code is 1 if any case fails; what fails goes to the error output.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from faults import malice_manifest, malice_snapshot, malice_torch
from faults.corruptions import FORMS, Damage, Place, check_damage, damages
from faults.crashes import Crash, Journal, distinct
from faults.failures import check_failure, disks, failures
from faults.kills import ENVS, RUN_FORMS, Killed, Reference, Run, check_chain, draw, refer
from faults.malice import Attack, check_attack, check_changes
from faults.nursery import Nursery, nursery
from faults.places import quick_folder
from faults.recording import Image
from faults.scenarios import Scenario, scenarios

from hookrl.checkpoints import BACKENDS

Check = Callable[[Path], object]
"""Raises if what it checks is not as it should be; called with a folder to be made."""


class Row(NamedTuple):
    """A line of the table."""

    what: str
    cases: int
    """How many there are."""
    checked: int
    """How many of them differ, and were checked."""
    failed: int


def crashes(folder: Path) -> Iterator[Row]:
    for scenario in _scenarios():
        with quick_folder() as place:
            before, steps = scenario.record(place / "recorded")
        found = [*Journal(steps, before).crashes(thorough=True)]
        checks = _of_crashes(scenario, found)
        yield _row(f"crash: {scenario.name}", len(found), checks, folder)


def second_crashes(folder: Path) -> Iterator[Row]:
    for scenario in scenarios("torch"):
        with quick_folder() as place:
            before, steps = scenario.record(place / "recorded")
            found = []
            for number, first in enumerate(distinct(Journal(steps, before).crashes())[::10]):
                there, again = scenario.record_after(first.image, place / str(number))
                found += Journal(again, first.image, there).crashes()
        checks = _of_crashes(scenario, found)
        yield _row(f"crash after a crash: {scenario.name}", len(found), checks, folder)


def failing_operations(folder: Path) -> Iterator[Row]:
    for scenario in _scenarios():
        checks: list[tuple[str, Check]] = []
        with quick_folder() as place:
            for number, before in enumerate(disks(scenario, place / "disks")):
                filled: Image = {}
                for failure in failures(scenario, number, before, place / str(number)):
                    what = (scenario, number, before, filled, failure)
                    checks.append((f"{failure}", partial(check_failure, *what)))
        yield _row(f"failing operation: {scenario.name}", len(checks), checks, folder)


def corruption(folder: Path) -> Iterator[Row]:
    for backend in BACKENDS:
        for form in FORMS:
            with quick_folder() as above:
                place, other = (Place(above / name, form, backend) for name in ("place", "other"))
                for number in (0, 1):
                    place.save(number)
                    other.save(number + 2)
                found = damages(place.directories[1], other.directories[0], flips=400)
                checks = [(each.what, partial(_check_damage, place, each)) for each in found]
                yield _row(f"damage: {form}, {backend}", len(checks), checks, folder)


def malice(folder: Path) -> Iterator[Row]:
    for module in (malice_manifest, malice_snapshot, malice_torch):
        name = module.__name__.rpartition("_")[2]
        checks = [(each.what, partial(_check_attack, each)) for each in module.attacks()]
        yield _row(f"malice: {name}", len(checks), checks, folder)


def random_changes(folder: Path) -> Iterator[Row]:
    count, rounds = 1000, 30
    for backend in BACKENDS:
        checks = [
            (f"seed {seed}", partial(_check_changes, backend, count, seed))
            for seed in range(rounds)
        ]
        row = _row(f"random changes: {backend}", rounds * count, checks, folder)
        yield row._replace(checked=rounds * count)


def kills(_: Path) -> Iterator[Row]:
    """On a real disk, on which a save takes its time."""
    generator = random.Random(0)
    with nursery() as processes, tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for algorithm, form in itertools.product(ENVS, RUN_FORMS):
            reference = refer(processes, Run(algorithm, form), place / f"{algorithm}, {form}")
            done: list[Killed] = []
            checks: list[tuple[str, Check]] = []
            for backend, background in itertools.product(BACKENDS, (False, True)):
                run = Run(algorithm, form, backend, background)
                given = (processes, run, reference, [*draw(generator, 5)], done)
                checks.append((f"{run}", partial(_check_kills, *given)))
            what = f"kill: {algorithm}, {form}"
            failed = _row(what, 0, checks, place).failed
            count = sum(killed.kills for killed in done)
            saving = sum(killed.saving for killed in done)
            yield Row(f"{what}, {saving} of them while saving", count, count, failed)


SECTIONS: dict[str, list[Callable[[Path], Iterator[Row]]]] = {
    "crashes": [crashes, second_crashes],
    "failures": [failing_operations],
    "corruption": [corruption],
    "malice": [malice, random_changes],
    "kills": [kills],
}


def main(names: list[str]) -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        print(f"there is no {unknown[0]!r}: expected some of {', '.join(SECTIONS)}.")
        return 2
    print("| what | cases | different | failed | seconds |")
    print("|---|---:|---:|---:|---:|")
    rows = []
    start = begun = time.monotonic()
    for section in [section for name in names or SECTIONS for section in SECTIONS[name]]:
        with quick_folder() as folder:
            for row in section(folder):
                _print(row, time.monotonic() - start)
                start = time.monotonic()
                rows.append(row)
    total = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    _print(Row("all", *total), time.monotonic() - begun)
    return 1 if total[-1] else 0


def _scenarios() -> list[Scenario]:
    return [scenario for backend in BACKENDS for scenario in scenarios(backend)]


def _of_crashes(scenario: Scenario, found: Iterable[Crash]) -> list[tuple[str, Check]]:
    return [
        (crash.where, partial(scenario.check_disk, crash.image, crash.allowed))
        for crash in distinct(found)
    ]


def _check_damage(where: Place, damage: Damage, _: Path) -> None:
    check_damage(where, damage)


def _check_attack(attack: Attack, place: Path) -> None:
    place.mkdir()
    check_attack(attack, place)


def _check_changes(backend: str, count: int, seed: int, place: Path) -> None:
    place.mkdir()
    check_changes(backend, count, seed, place)


def _check_kills(
    processes: Nursery,
    run: Run,
    reference: Reference,
    moments: list[float],
    done: list[Killed],
    place: Path,
) -> None:
    done.append(check_chain(processes, run, reference, moments, place))


def _row(what: str, cases: int, checks: Iterable[tuple[str, Check]], folder: Path) -> Row:
    checked = failed = 0
    for name, check in checks:
        checked += 1
        try:
            check(folder / "case")
        except Exception as error:
            failed += 1
            print(f"FAILED {what}: {name}: {error!r}", file=sys.stderr)
        finally:
            shutil.rmtree(folder / "case", ignore_errors=True)
    return Row(what, cases, checked, failed)


def _print(row: Row, seconds: float) -> None:
    cells = [row.what, f"{row.cases:,}", f"{row.checked:,}", f"{row.failed:,}", f"{seconds:.0f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
