"""A folder with the checkpoints of a run, named by frame, and which of them are kept.

::

    checkpoints/
      000000010000/    manifest.json and the state
      000000020000/
      latest           a link to the newest
      best             a link to the one with the best metric, if one is watched
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from hookrl.checkpoints.codec import Encoded
from hookrl.checkpoints.disk import DISK, Disk
from hookrl.checkpoints.manifest import Manifest
from hookrl.checkpoints.single import known_backend
from hookrl.checkpoints.versions import Versions
from hookrl.errors import ExistingFile, InvalidValue

LATEST, BEST = "latest", "best"


class CheckpointStore:
    """The checkpoints of one run.

    Which are kept: the `max_checkpoints` newest, every one whose frame count crosses a multiple of
    `keep_period`, and the best one by `keep_best`. The newest is always kept.

    Args:
        folder: where they are; made at the first save.
        max_checkpoints: how many of the newest to keep; None: all.
        keep_period: frames; the first checkpoint of each such period is kept for good. None: none.
        keep_best: name of a metric whose best checkpoint is kept, such as ``"eval/mean_reward"``.
        mode: "max" if larger is better, "min" if smaller.
        backend: "torch" or "torchsnapshot"; None: what ``CKPT_BACKEND`` says.
        resume: go on with the checkpoints that are there. The first save removes those of later
            frames, so whoever wants to keep them loads one before training.
        overwrite: remove those that are there, at the first save.
        disk: does what changes the disk.

    Raises:
        ExistingFile: if there are checkpoints already, and neither `resume` nor `overwrite` says
            what is to become of them.
        InvalidValue: for counts below 1, an unknown mode or backend, or both `resume` and
            `overwrite`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        max_checkpoints: int | None = 2,
        keep_period: int | None = None,
        keep_best: str | None = None,
        mode: Literal["max", "min"] = "max",
        backend: str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        disk: Disk = DISK,
    ) -> None:
        for name, count in (("max_checkpoints", max_checkpoints), ("keep_period", keep_period)):
            if count is not None and count < 1:
                raise InvalidValue(f"CheckpointStore({name}={count}): expected at least 1 or None.")
        if mode not in ("max", "min"):
            raise InvalidValue(f"CheckpointStore(mode={mode!r}): expected 'max' or 'min'.")
        if resume and overwrite:
            raise InvalidValue(
                "CheckpointStore(resume=True, overwrite=True): expected at most one of them."
            )
        self.folder = Path(folder)
        self.max_checkpoints = max_checkpoints
        self.keep_period = keep_period
        self.keep_best = keep_best
        self.mode = mode
        self.backend = known_backend(backend)
        self.disk = disk
        self.versions = Versions(self.folder, disk)
        self._discarded = {*self.frames()} if overwrite else set[int]()
        """Checkpoints of another run, which the first save removes."""
        if not (resume or overwrite) and self.frames():
            raise ExistingFile(
                f"{self.folder} holds checkpoints already, the newest of frame "
                f"{self.frames()[-1]}: expected resume=True to go on with them, or overwrite=True "
                "to begin anew."
            )

    def frames(self) -> list[int]:
        """Return the frame counts of the checkpoints that are there, ascending."""
        return self.versions.numbers()

    def write(
        self, frames: int, encoded: Encoded, about: Mapping[str, Any] | None = None
    ) -> Manifest:
        """Write a checkpoint, move the pointers, and remove what need not be kept.

        Checkpoints of later frames are removed too: a run that went back to an older one has
        another future now.

        Args:
            frames: names it; one of the same count is replaced.
            encoded: what `encode` returned.
            about: plain values for the manifest; ``metrics`` in it is where `keep_best` looks.

        Raises:
            InvalidType: for an `about` that cannot be stored; nothing is written then.
            InvalidValue: for a negative count, or if something else is where a pointer should be.
            OSError: if the disk is full or does not answer; all checkpoints from before are there.
        """
        for name in (LATEST, BEST):
            if (path := self.folder / name).exists() and not path.is_symlink():
                raise InvalidValue(f"{path} is no link to a checkpoint: expected nothing there.")
        manifest = self.versions.write(frames, encoded, self.backend, about or {})
        self._discarded.discard(frames)
        own = [n for n in self.frames() if n <= frames and n not in self._discarded]
        best = self.best(own)
        self._point(LATEST, frames)
        self._point(BEST, best)
        self.disk.sync(self.folder)  # nothing is removed before no pointer leads to it for good
        self.versions.keep(self._kept(own, best))
        self._discarded.clear()
        return manifest

    def read(self, frames: int | None = None) -> tuple[Any, Manifest]:
        """Return state and manifest of a checkpoint, verified; tensors are on the CPU.

        Args:
            frames: which; None: the latest, or if that is damaged the one before it, with a
                warning.

        Raises:
            MissingFile: if it is not there.
            CorruptCheckpoint: if it is damaged; without `frames`, if all are.
            InvalidValue: if it is not of this format.
            OSError: if it cannot be read.
        """
        if frames is not None:
            return self.versions.read(frames)
        return self.versions.read_newest(self._pointed())

    def latest(self) -> int | None:
        """Return the frame count of the checkpoint that was written last; None: there is none."""
        frames, pointed = self.frames(), self._pointed()
        return pointed if pointed in frames else max(frames, default=None)

    def best(self, frames: Iterable[int] | None = None) -> int | None:
        """Return the frame count of the checkpoint with the best metric; the first of equals.

        Args:
            frames: which to choose from; None: all.
        """
        if self.keep_best is None:
            return None
        scores: dict[int, float] = {}
        for number in self.frames() if frames is None else frames:
            try:
                metrics = self.versions.manifest(number).about.get("metrics")
            except InvalidValue:
                continue  # a damaged one is the best of nothing
            score = metrics.get(self.keep_best) if isinstance(metrics, Mapping) else None
            if isinstance(score, int | float) and math.isfinite(score):
                scores[number] = score if self.mode == "max" else -score
        return max(scores, key=lambda number: (scores[number], -number), default=None)

    def _kept(self, frames: list[int], best: int | None) -> set[int]:
        newest = frames if self.max_checkpoints is None else frames[-self.max_checkpoints :]
        kept = {*newest} if best is None else {*newest, best}
        if self.keep_period is not None:
            firsts: dict[int, int] = {}
            for number in frames:
                firsts.setdefault(number // self.keep_period, number)
            kept |= {number for period, number in firsts.items() if period}
        return kept

    def _pointed(self) -> int | None:
        """Where the link to the newest leads; None: there is none, or it leads elsewhere."""
        link = self.folder / LATEST
        name = link.readlink().name.partition(".")[0] if link.is_symlink() else ""
        return int(name) if name.isdecimal() else None

    def _point(self, name: str, frames: int | None) -> None:
        link = self.folder / name
        if frames is not None:
            self.disk.point(link, self.versions.path(frames).name)
        elif link.is_symlink():
            self.disk.remove(link)
