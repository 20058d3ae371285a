"""Goes on with a run that was killed, that is to be prolonged, or that is to take another turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from hookrl.algorithms import ALGORITHMS
from hookrl.checkpoints import CheckpointStore
from hookrl.configs import from_overrides, from_plain, to_plain
from hookrl.errors import InvalidValue, MissingFile, did_you_mean
from hookrl.loggers import RunDirectory


class Resumed(NamedTuple):
    """A trainer that stands where a run stood."""

    trainer: Any
    """Ready to train."""
    run: RunDirectory
    """Where it goes on."""
    changed: list[str]
    """Settings that are not what they were, as ``name: before → now``."""


def resume_run(
    path: str | Path,
    overrides: Iterable[str] = (),
    *,
    at: int | None = None,
    into: str | Path | None = None,
    register: Callable[[Any], Any] = lambda trainer: None,
) -> Resumed:
    """Build the trainer of a run and load a checkpoint of it.

    If that fails, nothing of the run has changed, and there is no new one.

    Args:
        path: directory of the run.
        overrides: settings to change, such as ``"total_frames=1e6"`` to prolong it.
        at: frames of the checkpoint; None: the newest that is sound.
        into: a new run directory, which leaves the old one as it is; None: go on in the old one.
        register: called with the trainer before its state is loaded, to register the hooks of one's
            own that the run had.

    Raises:
        MissingFile: if there is no such run, or no such checkpoint.
        InvalidValue: if the run is of an algorithm that is not known, or an older checkpoint is
            asked for without a new directory.
        CorruptCheckpoint: if the checkpoint is damaged, and so are all older ones.
        ExistingFile: if the new directory is in use.
        MissingKey: if the checkpoint is of a trainer with other hooks or networks.
    """
    run = RunDirectory.open(path)
    if run.algorithm not in ALGORITHMS:
        raise InvalidValue(
            f"{run.path} is a run of {run.algorithm!r}{did_you_mean(run.algorithm, ALGORITHMS)}: "
            f"expected one of {', '.join(ALGORITHMS)}."
        )
    if at is not None and into is None:
        raise InvalidValue(
            f"going on with {run.path} from frame {at} would leave its later checkpoints and "
            "metrics behind: expected a new run directory for it."
        )
    algorithm = ALGORITHMS[run.algorithm]
    before = run.config
    config = from_overrides(from_plain(algorithm.load_config(), before), overrides)
    changed = _changed(before, to_plain(config))
    state, manifest = _checkpoint(run, at)
    frames, plain = int(manifest.about["frames"]), to_plain(config)
    if into is not None:
        parent, run = run, _fork(run, into, plain, frames, changed)
        if parent.metrics_file.exists():
            shutil.copyfile(parent.metrics_file, run.metrics_file)
    config.run_dir, config.overwrite = str(run.path), False
    try:
        trainer = algorithm.load_trainer().from_config(config, resume=True)
        register(trainer)
        trainer.resume_from(state, manifest)
    except BaseException:
        if into is not None:
            run.remove_files()
        raise
    if changed and into is None:
        run.record({"frames": frames, "changed": changed}, config=plain)
    return Resumed(trainer, run, changed)


def _checkpoint(run: RunDirectory, at: int | None) -> tuple[Any, Any]:
    try:
        return CheckpointStore(run.checkpoints, resume=True).read(at)
    except MissingFile:
        if at is None:
            raise MissingFile(
                f"the run {run.path} has no checkpoint yet, so there is nothing to go on from."
            ) from None
        raise


def _fork(
    run: RunDirectory, into: str | Path, config: dict[str, Any], frames: int, changed: list[str]
) -> RunDirectory:
    fork = RunDirectory.create(into, config, algorithm=run.algorithm)
    fork.record({"forked_from": str(run.path), "frames": frames, "changed": changed}, config=config)
    return fork


def _changed(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Settings that differ; where a run leaves its files is none of them."""
    found = []
    for name, new in now.items():
        old = before.get(name, new)
        if isinstance(old, dict) and isinstance(new, dict) and name != "env_kwargs":
            found += _changed(old, new, f"{prefix}{name}.")
        elif old != new and name not in ("run_dir", "overwrite"):
            found.append(f"{prefix}{name}: {old} → {new}")
    return found
