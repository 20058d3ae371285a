"""Runs that are killed without warning, again and again, and what must be there after each kill.

A life is a process that begins a run or goes on with it, and notes each batch, and each save when
it begins and when it is over. It is killed at a moment that was drawn, and then

- there is a checkpoint if any save was over; it is that of the last save that was over, or of the
  one that had begun: no more is lost than an interval, and one more if a save was being written
  while training went on;
- whatever has a checkpoint's name is whole, and its manifest says what its state says;
- the next life goes on from it, and the last one ends with every bit of a run that was never
  killed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from faults.nursery import Event, Life, Nursery
from resume.runs import ALGORITHMS
from states import bits

from hookrl.checkpoints import CheckpointStore, SingleCheckpoint, encode
from hookrl.checkpoints.versions import read_directory
from hookrl.configs import from_overrides
from hookrl.errors import MissingFile
from hookrl.loggers import CSVLogger
from hookrl.loggers.csv import read_metrics
from hookrl.runners.resume import resume_run

RUN_FORMS = ("run directory", "single path")
ENVS = {"ppo": "CartPole-v1", "dqn": "Acrobot-v1", "sac": "Pendulum-v1"}
FURTHER = {
    "ppo": ["normalize_observation=true"],
    "dqn": ["replay.prioritized=true", "replay.n_step=3"],
    "sac": [],
}
INTERVALS = 15
"""Saves in a whole run."""
_BATCHES = 2
"""In an interval."""


@dataclass(frozen=True)
class Run:
    """What is trained, and how it is saved."""

    algorithm: str
    form: str
    backend: str = "torch"
    background: bool = False

    def __str__(self) -> str:
        where = "in the background" if self.background else "at once"
        return f"{self.algorithm}, {self.form}, {self.backend}, {where}"

    @property
    def task(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def interval(self) -> int:
        """Frames between saves."""
        config = self._config(Path())
        return _BATCHES * config.num_envs * config.steps_per_env

    def trainer(self, folder: Path, resume: bool) -> Any:
        """Build a trainer that begins anew or stands where the newest checkpoint stands."""
        if self.form == "single path":
            trainer = self._with_single_path(folder)
            if resume:
                return trainer.load_from_file(trainer.save_trainer_file)
            (folder / "metrics.csv").unlink(missing_ok=True)
            return trainer
        if resume:
            return resume_run(folder / "run").trainer
        return ALGORITHMS[self.algorithm][1].from_config(self._config(folder))

    def place(self, folder: Path) -> CheckpointStore | SingleCheckpoint:
        """Where its checkpoints are."""
        if self.form == "single path":
            return SingleCheckpoint(folder / "state")
        return CheckpointStore(folder / "run" / "checkpoints", resume=True)

    def rows(self, folder: Path) -> dict[str, list[float]]:
        """What it has logged, without what tells the time."""
        file = folder / ("run" if self.form == "run directory" else "") / "metrics.csv"
        return _timeless(read_metrics(file))

    def _with_single_path(self, folder: Path) -> Any:
        config = self._config(folder)
        config.run_dir = None
        os.environ["CKPT_BACKEND"] = self.backend
        trainer = ALGORITHMS[self.algorithm][1].from_config(config)
        trainer.logger = CSVLogger(folder / "metrics.csv")
        trainer.metrics = type(trainer.metrics)(trainer.logger, config.log_interval)
        trainer.save_trainer_file = folder / "state"
        return trainer

    def _config(self, folder: Path) -> Any:
        config_type, _, overrides = ALGORITHMS[self.algorithm]
        settings = [
            *overrides,
            *FURTHER[self.algorithm],
            f"env={ENVS[self.algorithm]}",
            "seed=3",
            "progress_bar=false",
            "overwrite=true",
            f"checkpoint.backend={self.backend}",
            f"checkpoint.background={str(self.background).lower()}",
        ]
        config = from_overrides(config_type, settings)
        batch = config.num_envs * config.steps_per_env
        config.run_dir = str(folder / "run")
        config.total_frames = INTERVALS * _BATCHES * batch
        config.checkpoint.interval = _BATCHES * batch
        config.log_interval = 3 * batch
        return config


# ------------------------------------------------------------- in the process that is killed


def lead(run: dict[str, Any], folder: str, resume: bool, notes: str) -> None:
    """Lead a life; what happens goes into a file, which a kill does not take back."""
    descriptor = os.open(notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def note(what: str, value: Any = None) -> None:
        os.write(descriptor, f"{json.dumps([time.monotonic(), what, value])}\n".encode())

    try:
        _note_saves(note)
        this = Run(**run)
        trainer = this.trainer(Path(folder), resume)
        trainer.register_op("post_steps", lambda: note("batch", trainer.collected_frames))
        note("ready", trainer.collected_frames)
        trainer.train()
        note("ended", digest(trainer, this.rows(Path(folder))))
    except BaseException:
        note("failed", traceback.format_exc())


def warm_up(folder: Path) -> None:
    """Import all that a life imports, late or early."""
    for form in RUN_FORMS:
        trainer = Run("ppo", form, "torchsnapshot").trainer(folder, resume=False)
        trainer.total_frames = 1
        trainer.train()


def digest(trainer: Any, rows: dict[str, list[float]]) -> dict[str, str]:
    """Return a hash of each part of a trainer's state, and of its rows; nothing tells the time."""
    state = dict(trainer.state_dict())
    logged = {**state["metrics"]}
    logged.update({part: _timeless(logged[part]) for part in ("means", "latest")})
    state["metrics"] = logged
    return {name: _hash(part) for name, part in {**state, "rows": rows}.items()}


def _hash(part: Any) -> str:
    skeleton, tensors = encode(part)
    found = hashlib.blake2b(skeleton.encode(), digest_size=16)
    for tensor in tensors.values():
        found.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        found.update(bits(tensor).numpy())
    return found.hexdigest()


def _note_saves(note: Callable[[str, int], object]) -> None:
    """Note when a save begins and when it is over, in whatever thread."""

    def noting(write: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **options: Any) -> Any:
            frames = options.get("about", given[-1])["frames"]
            note("begun", frames)
            manifest = write(*given, **options)
            note("saved", frames)
            return manifest

        return noted

    for kind in (CheckpointStore, SingleCheckpoint):
        kind.write = noting(kind.write)


def _timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if not name.startswith("time/")}


# ------------------------------------------------------------------ in the process that kills


class Reference(NamedTuple):
    """A run that was never killed."""

    digest: dict[str, str]
    to_build: float
    """Seconds until it could train."""
    to_train: float
    """Seconds of an interval."""


class Killed(NamedTuple):
    """How often a run was killed."""

    kills: int
    saving: int
    """How many of the kills fell into a save."""


def refer(nursery: Nursery, run: Run, folder: Path) -> Reference:
    """Let a run go to its end; its digest is that of every run of its algorithm and form."""
    folder.mkdir()
    life = _begin(nursery, run, folder, 0, resume=False)
    life.wait_for_end()
    assert life.end() == 0
    events = life.events()
    ready = next(event for event in events if event.what == "ready")
    assert events[-1].what == "ended"
    to_train = (events[-1].time - ready.time) / INTERVALS
    return Reference(events[-1].value, ready.time - life.begun, to_train)


def draw(generator: random.Random, kills: int) -> Iterator[float]:
    """Draw when to kill: in intervals since the beginning, the part of one before it is negative.

    The first is about the first checkpoint, the second while one is loaded, if it is there; the
    others are uniform over the rest of the run.
    """
    later = sorted(generator.uniform(1, INTERVALS) for _ in range(kills - 2))
    yield generator.uniform(-1, 1.5)
    yield from later[:1]
    yield generator.uniform(-1, 0)
    yield from later[1:]


def check_chain(
    nursery: Nursery, run: Run, reference: Reference, moments: list[float], folder: Path
) -> Killed:
    """Check a run that is killed at these moments in turn, and then comes to its end."""
    folder.mkdir()
    found: int | None = None
    kills = saving = 0
    for number, moment in enumerate([*moments, None]):
        life = _begin(nursery, run, folder, number, resume=found is not None)
        if moment is not None:
            _wait(life, moment, run, reference)
            os.kill(life.pid, signal.SIGKILL)
        else:
            life.wait_for_end()
        if life.end() != -signal.SIGKILL:
            break
        kills += 1
        saving += _is_saving(life.events())
        found = check_killed(run, found, life.events(), folder)
    last = life.events()[-1]
    differing = [part for part in reference.digest if last.value[part] != reference.digest[part]]
    assert not differing, f"other bits than without a kill in {differing}"
    if any(event.what == "saved" for event in life.events()):
        check_tidy(run, folder)
    shutil.rmtree(folder)
    return Killed(kills, saving)


def check_killed(run: Run, before: int | None, events: list[Event], folder: Path) -> int | None:
    """Check what a killed process leaves behind.

    Args:
        run: what it was.
        before: frames of the checkpoint that it went on from; None: it began anew.
        events: what it has noted.
        folder: where it was.

    Returns:
        The frames of the checkpoint that is found; None: there is none.
    """
    begun, saved, reached = (_last(events, what, before) for what in ("begun", "saved", "batch"))
    found = _found(run, folder)
    assert found in (saved, begun), f"found {found}, saved {saved}, begun {begun}"
    lost = (reached or 0) - (found or 0)
    most = run.interval * (2 if run.background else 1)
    assert lost <= most, f"lost {lost} frames, expected {most} at most"
    for directory in _directories(run, folder):
        _check_manifest(*read_directory(directory))
    for link in (folder / "state", folder / "run" / "checkpoints" / "latest"):
        assert link.exists() or not link.is_symlink(), f"{link} leads nowhere"
    return found


def check_tidy(run: Run, folder: Path) -> None:
    """Check that nothing of an earlier life is left once a save has come to its end."""
    place = run.place(folder)
    expected = {path.name for path in _directories(run, folder)}
    assert 1 <= len(expected) <= 2, f"{len(expected)} checkpoints are left"
    if isinstance(place, SingleCheckpoint):
        found = {path.name for path in place.versions.folder.iterdir()}
        found |= {path.name for path in folder.iterdir() if "state" in path.name}
        expected |= {"state", ".state.versions"}
    else:
        found = {path.name for path in place.folder.iterdir()}
        expected |= {"latest"}
    assert found == expected, f"{found ^ expected} is left, or missing"


def _begin(nursery: Nursery, run: Run, folder: Path, number: int, *, resume: bool) -> Life:
    task = {"run": run.task, "folder": str(folder), "resume": resume}
    return nursery.begin(task, folder / f"notes {number}")


def _wait(life: Life, moment: float, run: Run, reference: Reference) -> None:
    """Wait for a moment in a life; there is none if it is over before."""
    if moment < 0:
        time.sleep((1 + moment) * reference.to_build)
        return
    interval, part = divmod(moment, 1)
    frames = int(interval) * run.interval
    life.wait_for(lambda event: event.what in ("ready", "batch") and event.value >= frames)
    time.sleep(part * reference.to_train)


def _found(run: Run, folder: Path) -> int | None:
    """The frames of the checkpoint that is found, in which nothing contradicts anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            state, manifest = run.place(folder).read()
        except MissingFile:
            return None
    assert manifest is not None, "it has no manifest"
    _check_manifest(state, manifest)
    if run.form == "run directory":
        assert manifest.number == manifest.about["frames"]
    return int(manifest.about["frames"])


def _check_manifest(state: Any, manifest: Any) -> None:
    counters, about = state["counters"], manifest.about
    frames = counters["collected_frames"], counters["last_save"]
    assert frames == (about["frames"],) * 2, f"{frames} in a state of {about['frames']} frames"
    steps = counters["optim_steps"]
    assert steps == about["optim_steps"], f"{steps} in a state of {about['optim_steps']} steps"


def _directories(run: Run, folder: Path) -> list[Path]:
    """Everything that has the name of a checkpoint."""
    place = run.place(folder)
    return [path for path in place.versions.folder.glob("0*") if not path.is_symlink()]


def _is_saving(events: list[Event]) -> bool:
    saves = [event.what for event in events if event.what in ("begun", "saved")]
    return saves[-1:] == ["begun"]


def _last(events: list[Event], what: str, otherwise: int | None) -> int | None:
    return next((event.value for event in reversed(events) if event.what == what), otherwise)
