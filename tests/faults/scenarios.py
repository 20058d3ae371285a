"""Sequences of saves whose crashes are enumerated, and what must hold after each crash."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from faults.recording import Image, QuickDisk, RecordingDisk, Step, read_image, write_image
from states import assert_same

from hookrl.checkpoints import CheckpointStore, CorruptCheckpoint, SingleCheckpoint, encode
from hookrl.checkpoints.disk import Disk
from hookrl.checkpoints.versions import read_directory
from hookrl.errors import MissingFile


def state(number: int) -> dict[str, Any]:
    """What the save of a number saves; no two have anything in common."""
    return {
        "save": number,
        "weights": {"w": torch.full((5, 3), float(number)), "b": torch.arange(number + 2)},
        "random": torch.arange(40, dtype=torch.bfloat16).reshape(5, 8)[:, : number + 1] + number,
        "history": [(number, f"{number}")] * (number + 1),
    }


class Scenario(ABC):
    """Some saves, one after the other, into a folder that is there."""

    name: str
    count: int
    """How many saves."""

    def prepare(self, folder: Path) -> None:  # noqa: B027
        """Put into the folder what is there before the first save."""

    def before(self) -> Any:
        """The state that is there before the first save; None: none."""
        return None

    @abstractmethod
    def save(self, number: int, folder: Path, disk: Disk) -> None:
        """Make the save of a number; it may come after any of the others, or a crash of it."""

    @abstractmethod
    def read(self, folder: Path) -> Any:
        """Return the state that is found."""

    @abstractmethod
    def save_once_more(self, folder: Path) -> None:
        """Save `state(self.count)` on top of what is there, quickly."""

    @abstractmethod
    def check_places(self, folder: Path) -> None:
        """Check that there is nothing that should not be there."""

    def check_one_before(self, folder: Path, number: int) -> None:  # noqa: B027
        """Check that what had been found is found again if the save after the crash is damaged."""

    @abstractmethod
    def directories(self, folder: Path) -> list[Path]:
        """Everything that has the name of a checkpoint."""

    @abstractmethod
    def links(self, folder: Path) -> list[Path]:
        """Where the pointers are, if they are there."""

    def record(self, folder: Path) -> tuple[Image, list[Step]]:
        """Make all saves; return what was there before, and what they did to the disk."""
        folder.mkdir()
        self.prepare(folder)
        before, disk = read_image(folder), RecordingDisk(folder)
        for number in range(self.count):
            with disk.save(number):
                self.save(number, folder, disk)
        return before, disk.steps

    def record_after(self, before: Image, folder: Path) -> tuple[int, list[Step]]:
        """Make the last save on a disk; return which save was found there, and what was done."""
        write_image(before, folder)
        found, disk = self.found(folder), RecordingDisk(folder)
        with disk.save(self.count - 1):
            self.save(self.count - 1, folder, disk)
        return found, disk.steps

    def found(self, folder: Path) -> int:
        """Return the number of the save whose state is found; -1: what was there before.

        Raises:
            AssertionError: if it is the state of none.
        """
        try:
            content = self.read(folder)
        except MissingFile:
            content = None
        number = -1
        if content is not None and (self.before() is None or "save" in content):
            number = content["save"]
        assert_same(content, self.before() if number == -1 else state(number))
        return number

    def check_disk(self, image: Image, allowed: frozenset[int], folder: Path) -> None:
        """Check a disk after a crash, rebuilt in a folder that is not there yet."""
        write_image(image, folder)
        self.check(folder, allowed)

    def check(self, folder: Path, allowed: frozenset[int]) -> int:
        """Check a folder after a crash; return the number of the save that was found."""
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*is used instead")
            number = self.found(folder)
        assert number in allowed, f"found {number}, expected one of {sorted(allowed)}"
        for directory in self.directories(folder):
            read_directory(directory)
        for link in self.links(folder):
            assert link.exists() or not link.is_symlink(), f"{link} leads nowhere"
        self.save_once_more(folder)
        assert_same(self.read(folder), state(self.count))
        self.check_places(folder)
        self.check_one_before(folder, number)
        return number


class StoreScenario(Scenario):
    """A folder of checkpoints.

    Args:
        name: what happens.
        backend: of all saves but the one after the crash, where it does not matter.
        frames: of each save; one that is smaller than that before goes back.
        overwriting: the save that begins anew.
        options: of the store.
    """

    def __init__(
        self,
        name: str,
        backend: str,
        frames: list[int],
        overwriting: int | None = None,
        **options: Any,
    ) -> None:
        self.name = f"store, {name}, {backend}"
        self.backend = backend
        self.frames = frames
        self.count = len(frames)
        self.overwriting = overwriting
        self.options = options

    def save(self, number: int, folder: Path, disk: Disk) -> None:
        anew = number == self.overwriting
        store = CheckpointStore(
            self._place(folder),
            resume=not anew,
            overwrite=anew,
            backend=self.backend,
            disk=disk,
            **self.options,
        )
        # Up and down, so that the best is not always the newest.
        about = {"metrics": {"return": float((7 * number) % 5)}}
        store.write(self.frames[number], encode(state(number)), about)

    def read(self, folder: Path) -> Any:
        return CheckpointStore(self._place(folder), resume=True).read()[0]

    def save_once_more(self, folder: Path) -> None:
        options = {**self.options, "resume": True, "backend": "torch", "disk": QuickDisk()}
        store = CheckpointStore(self._place(folder), **options)
        store.write(self.frames[-1] + 10, encode(state(self.count)), {"metrics": {"return": 9.0}})

    def check_places(self, folder: Path) -> None:
        store = CheckpointStore(self._place(folder), resume=True, **self.options)
        last = self.frames[-1] + 10
        assert store.frames()[-1] == store.latest() == last
        assert len(store.frames()) <= store.max_checkpoints
        pointers = {"latest", "best"} if store.keep_best else {"latest"}
        names = {path.name for path in store.folder.iterdir()}
        assert names == {store.versions.path(n).name for n in store.frames()} | pointers

    def directories(self, folder: Path) -> list[Path]:
        place = self._place(folder)
        return [path for path in place.glob("0*") if not path.is_symlink()]

    def links(self, folder: Path) -> list[Path]:
        return [self._place(folder) / "latest", self._place(folder) / "best"]

    @staticmethod
    def _place(folder: Path) -> Path:
        return folder / "run" / "checkpoints"


class SingleScenario(Scenario):
    """One checkpoint at a path.

    Args:
        name: what happens.
        backends: of each save.
        occupied: whether there is a torch file at the path before.
    """

    def __init__(self, name: str, backends: list[str], occupied: bool = False) -> None:
        self.name = f"single path, {name}, {backends[0]}"
        self.backends = backends
        self.count = len(backends)
        self.occupied = occupied

    def prepare(self, folder: Path) -> None:
        if self.occupied:
            skeleton, tensors = encode(self.before())
            folder.joinpath("run").mkdir()
            torch.save({"skeleton": skeleton, "tensors": tensors}, self._place(folder))

    def before(self) -> Any:
        return {"weights": torch.ones(2)} if self.occupied else None

    def save(self, number: int, folder: Path, disk: Disk) -> None:
        SingleCheckpoint(self._place(folder), disk).write(
            encode(state(number)), self.backends[number]
        )

    def read(self, folder: Path) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*has no manifest beside it")
            return SingleCheckpoint(self._place(folder)).read()[0]

    def save_once_more(self, folder: Path) -> None:
        place = SingleCheckpoint(self._place(folder), QuickDisk())
        place.write(encode(state(self.count)), "torch")

    def check_places(self, folder: Path) -> None:
        path = self._place(folder)
        assert {entry.name for entry in path.parent.iterdir()} == {
            path.name,
            f".{path.name}.versions",
        }
        assert len(self.directories(folder)) in (1, 2)
        assert len([*path.with_name(f".{path.name}.versions").iterdir()]) <= 2

    def check_one_before(self, folder: Path, number: int) -> None:
        (max(self.directories(folder)) / "manifest.json").unlink()
        if number == -1:
            with pytest.raises(CorruptCheckpoint):
                self.read(folder)
            return
        with pytest.warns(UserWarning, match="is used instead"):
            assert_same(self.read(folder), state(number))

    def directories(self, folder: Path) -> list[Path]:
        path = self._place(folder)
        return [*path.with_name(f".{path.name}.versions").glob("0*")]

    def links(self, folder: Path) -> list[Path]:
        return [self._place(folder)]

    @staticmethod
    def _place(folder: Path) -> Path:
        return folder / "run" / "state"


def scenarios(backend: str) -> list[Scenario]:
    """All of them, with a backend."""
    other = "torchsnapshot" if backend == "torch" else "torch"
    best = {"keep_best": "return"}
    return [
        StoreScenario("removing the oldest", backend, [10, 20, 30, 40], max_checkpoints=2, **best),
        StoreScenario("going back", backend, [10, 20, 30, 15, 25], max_checkpoints=3, **best),
        StoreScenario("one frame twice", backend, [10, 10, 20, 20], max_checkpoints=1, **best),
        StoreScenario(
            "overwriting", backend, [10, 20, 30, 5, 20], overwriting=3, max_checkpoints=3, **best
        ),
        SingleScenario("replacing", [backend] * 4),
        SingleScenario("changing the format", [backend, other, backend]),
        SingleScenario("replacing a file", [backend] * 3, occupied=True),
    ]
