"""The trainer's state: gathering it, restoring it, and when it is saved."""

from __future__ import annotations

import contextlib
import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import torch

from hookrl.checkpoints import CheckpointStore, Manifest, SingleCheckpoint, encode
from hookrl.checkpoints.background import BackgroundWriter
from hookrl.checkpoints.codec import Encoded
from hookrl.errors import InvalidValue, MissingKey, UserError
from hookrl.state import (
    LiveStateful,
    LiveTensor,
    Stateful,
    generators_state,
    load_generators_state,
)
from hookrl.trainers.host import HookHost
from hookrl.trainers.machine import describe_machine, differences
from hookrl.trainers.metrics import MetricLog
from hookrl.trainers.step import OptimizationStep

_COUNTERS = ("collected_frames", "optim_steps", "recaptures", "last_save")

_OWN_HOOKS = " Hooks of your own are registered first: resume_run(path, register=…) in Python."


class Checkpointing(HookHost):
    """A host of hooks whose state can be saved and restored."""

    collector: Any
    loss_module: Any
    logger: Any
    metrics: MetricLog
    step: OptimizationStep
    optim_steps: int
    """Optimization steps so far."""
    recaptures: int
    """How often settings that were part of a captured step have changed."""
    save_trainer_file: str | Path | None
    """Where the one checkpoint goes; None: nowhere."""
    checkpoints: CheckpointStore | None
    """Where checkpoints go that are kept by number; None: nowhere."""
    save_trainer_interval: int
    """Frames between checkpoints; 0: none but on request."""
    save_in_background: bool
    """Whether the loop goes on while a checkpoint is written."""
    save_errors: str
    """"raise": a checkpoint that cannot be written ends training; "warn": it goes on."""
    exact_resume: str
    """"require", "best" or "off": see `Trainer`."""
    last_save: int
    """Frames at the last checkpoint."""
    config: Mapping[str, Any] | None
    """What the trainer was built from, if from a config: recorded in checkpoints."""
    _seed_process: bool
    """Whether the process-wide generators are still to be seeded."""

    def __init__(self, seed: int | None) -> None:
        super().__init__(seed)
        self._writer = BackgroundWriter()
        self._saved_on: Mapping[str, Any] | None = None

    # --------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Return everything that was registered, the counters, and all generators."""
        return self._gathered(lambda part: part.state_dict())

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore what `state_dict` returned; if any part refuses, all are as they were.

        Args:
            state: what `state_dict` returned.
            strict: refuse a state that does not fit; False: take what fits, and warn of the rest.

        Raises:
            MissingKey: if the trainer is assembled differently; nothing is changed then.
            InvalidValue: if weights have other shapes; nothing is changed then.
        """
        self.complete_modules()
        parts = self._stateful_parts()
        wanted = {"counters", "cadences", "generators", "modules", *parts}
        problems = _unequal_names(state, wanted, "")
        modules = state.get("modules", {})
        problems += _unequal_names(modules, self.modules, "modules/")
        counters = state.get("counters", {})
        problems += _unequal_names(counters, _COUNTERS, "counters/")
        counters = {name: int(counters[name]) for name in _COUNTERS if name in counters}
        if "loss_module" in parts and "loss_module" in state:
            problems += _misfits(state["loss_module"], self.loss_module)
        if problems and strict:
            raise MissingKey(
                f"the checkpoint does not fit this Trainer: {'; '.join(problems)}. Nothing was "
                "loaded; strict=False takes what fits."
                + (_OWN_HOOKS if any("unexpected 'modules/" in one for one in problems) else "")
            )
        targets = {
            **{name: (part, state[name]) for name, part in parts.items() if name in state},
            **{
                f"modules/{name}": (module, modules[name])
                for name, module in self.modules.items()
                if name in modules
            },
        }
        before = {name: _private(part.state_dict()) for name, (part, _) in targets.items()}
        cadences, generators = self.hooks.state_dict(), generators_state()
        try:
            for name, (part, content) in targets.items():
                try:
                    _load(part, content, strict)
                except UserError as error:
                    if strict:
                        error.add_note(f"of {name} in the checkpoint; nothing was loaded")
                        raise
                    part.load_state_dict(before[name])
                    problems.append(f"{name} was refused ({error})")
            if "cadences" in state:
                self.hooks.load_state_dict(state["cadences"])
            if "generators" in state:
                load_generators_state(state["generators"])
        except BaseException:
            for name, (part, _) in targets.items():
                part.load_state_dict(before[name])
            self.hooks.load_state_dict(cadences)
            load_generators_state(generators)
            raise
        for name, count in counters.items():
            setattr(self, name, count)
        self._seed_process &= "generators" not in state
        self.step.reset()
        if problems:
            warnings.warn(
                f"the checkpoint was loaded as far as it fits: {'; '.join(problems)}.", stacklevel=2
            )

    # -------------------------------------------------------------------- saving

    def save_trainer(self, force_save: bool = False) -> None:
        """Write a checkpoint if one is due, or if forced.

        With `save_in_background` the state is copied and the writing goes on beside training; what
        went wrong there is raised at the next save, or at the end of training.

        Raises:
            InvalidValue: if forced without a place for it.
            OSError: if it cannot be written and `save_errors` is "raise"; the checkpoints from
                before are as they were.
        """
        target = self._target()
        if target is None:
            if force_save:
                raise InvalidValue(
                    "save_trainer(force_save=True) without a place for it: expected the Trainer to "
                    "have a save_trainer_file or checkpoints."
                )
            return
        interval, frames = self.save_trainer_interval, self.collected_frames
        due = interval and frames // interval > self.last_save // interval
        if not (due or force_save):
            return
        start = time.perf_counter()
        before, self.last_save = self.last_save, frames
        try:
            with self._save_errors():
                self._writer.wait()
            # The step after this one changes tensors in place.
            encoded = encode(self._gathered(_settled if self.save_in_background else _live))
            about = self._about()
            with self._save_errors():
                if isinstance(target, CheckpointStore):
                    self._write(lambda: target.write(frames, encoded, about), encoded)
                else:
                    self._write(lambda: target.write(encoded, about=about), encoded)
        except BaseException:
            self.last_save = before
            raise
        self.metrics.add({"time/checkpoint_stall": time.perf_counter() - start})

    def finish_saving(self) -> None:
        """Wait until a checkpoint that is being written is there.

        Raises:
            OSError: if it cannot be written and `save_errors` is "raise".
        """
        with self._save_errors():
            self._writer.wait()

    def load_from_file(self, file: str | Path, strict: bool = True) -> Self:
        """Restore a checkpoint of either format; returns the trainer itself.

        Args:
            file: what `save_trainer_file` named, or a folder of checkpoints, of which the newest
                that is sound is taken.
            strict: as for `load_state_dict`.

        Raises:
            MissingFile: if there is none.
            MissingKey: if it belongs to a trainer that is assembled differently.
            CorruptCheckpoint: if it is damaged, and so is the one before it.
        """
        state, manifest = open_checkpoint(file).read()
        self.resume_from(state, manifest, strict)
        return self

    def resume_from(self, state: Any, manifest: Manifest | None, strict: bool = True) -> None:
        """Restore what a checkpoint was read as, and remember where it was written.

        Raises:
            MissingKey: if it belongs to a trainer that is assembled differently.
        """
        if not isinstance(state, dict):
            raise MissingKey(
                f"the checkpoint holds a {type(state).__name__}: expected a trainer's state."
            )
        self.load_state_dict(state, strict)
        self._saved_on = None if manifest is None else manifest.about.get("machine")

    @property
    def resume_kind(self) -> str:
        """How a resumed run goes on: "exact", "replayed" (exact too), or "impossible"."""
        kind = getattr(self.collector, "exact_resume", "impossible")
        return "impossible" if self._inexact() else kind

    def check_exactness(self) -> None:
        """Say whether a run that is resumed from here, or has been, goes on exactly.

        Raises:
            InvalidValue: if it does not, and exact_resume is "require".
        """
        if inexact := ", ".join(map(repr, self._inexact())):
            if self.exact_resume == "require":
                raise InvalidValue(
                    f"exact_resume='require' with {inexact}, of which checkpoints leave something "
                    "out: expected it to be saved, or exact_resume='best'."
                )
            if self.exact_resume == "best" and self._target() is not None:
                warnings.warn(
                    f"checkpoints leave out something of {inexact}: a run that is resumed from one "
                    "does not go on exactly.",
                    stacklevel=5,
                )
        then, self._saved_on = self._saved_on, None
        if then is None or self.exact_resume == "off":
            return
        found = differences(then, describe_machine())
        if found:
            text = f"this run was saved where other numbers may come out: {'; '.join(found)}"
            if self.exact_resume == "require":
                raise InvalidValue(
                    f"{text}; exact_resume='require' needs the same, 'best' goes on regardless."
                )
            warnings.warn(f"{text}; it may not go on exactly as it would have.", stacklevel=5)

    def _inexact(self) -> list[str]:
        """The registered modules that checkpoints do not hold as a whole."""
        return [
            name
            for name, module in self.modules.items()
            if getattr(module, "exact_resume", "exact") == "impossible"
        ]

    def _target(self) -> SingleCheckpoint | CheckpointStore | None:
        if self.checkpoints is not None or self.save_trainer_file is None:
            return self.checkpoints
        return SingleCheckpoint(self.save_trainer_file)

    def _write(self, write: Callable[[], object], encoded: Encoded) -> None:
        def job() -> None:
            try:
                write()
            finally:
                for tensor in encoded[1].values():
                    if isinstance(tensor, LiveTensor):
                        tensor.release()

        if self.save_in_background:
            self._writer.submit(job)
        else:
            job()

    def _gathered(self, state_of: Callable[[Any], Any]) -> dict[str, Any]:
        self.complete_modules()
        return {
            "counters": {name: getattr(self, name) for name in _COUNTERS},
            "cadences": self.hooks.state_dict(),
            "generators": generators_state(),
            **{name: state_of(part) for name, part in self._stateful_parts().items()},
            "modules": {name: state_of(module) for name, module in self.modules.items()},
        }

    def _about(self) -> dict[str, Any]:
        """What is to be known of a checkpoint without reading its state."""
        return {
            "frames": self.collected_frames,
            "optim_steps": self.optim_steps,
            "metrics": dict(self.metrics.latest),
            "exact_resume": self.resume_kind,
            "config": None if self.config is None else dict(self.config),
            "machine": describe_machine(),
        }

    def _save_errors(self) -> Any:
        return _as_warnings() if self.save_errors == "warn" else contextlib.nullcontext()

    def _stateful_parts(self) -> dict[str, Stateful]:
        """The parts that are no registered modules; those without state are left out."""
        candidates = {
            "collector": self.collector,
            "loss_module": self.loss_module,
            "logger": self.logger,
            "metrics": self.metrics,
        }
        return {name: part for name, part in candidates.items() if isinstance(part, Stateful)}


def require_exact(collector: Any) -> None:
    """Check that a collector's state holds all that its next batch depends on.

    Raises:
        InvalidValue: if it does not.
    """
    if getattr(collector, "exact_resume", "impossible") == "impossible":
        raise InvalidValue(
            f"exact_resume='require' with a {type(collector).__name__} that cannot be resumed "
            "exactly: expected environments whose state can be saved, or exact_resume='best'."
        )


def open_checkpoint(path: str | Path) -> SingleCheckpoint | CheckpointStore:
    """Return what is at a path: one checkpoint, or a folder of them."""
    folder = CheckpointStore(path, resume=True)
    is_folder = Path(path).is_dir() and not Path(path).is_symlink()
    return folder if is_folder and folder.frames() else SingleCheckpoint(path)


@contextlib.contextmanager
def _as_warnings() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        warnings.warn(f"a checkpoint was not written, training goes on: {error}", stacklevel=4)


def _live(part: Stateful) -> Any:
    """The state of a part, of which as little is copied as can be."""
    return part.live_state_dict() if isinstance(part, LiveStateful) else part.state_dict()


def _settled(part: Stateful) -> Any:
    """The state of a part as it is now, though the part goes on."""
    return _live(part) if isinstance(part, LiveStateful) else _private(part.state_dict())


def _private(state: Any) -> Any:
    """A copy that shares no memory with what is live."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, Mapping):
        return {key: _private(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(_private(value) for value in state)
    return copy.deepcopy(state)


def _load(part: Any, content: Any, strict: bool) -> None:
    """Load one part; of a module, without `strict`, the entries that fit."""
    if not strict and isinstance(part, torch.nn.Module):
        own = part.state_dict()
        fits = {k: v for k, v in content.items() if k in own and _alike(v, own[k])}
        part.load_state_dict(fits, strict=False)
    else:
        part.load_state_dict(content)


def _unequal_names(state: Mapping[str, Any], wanted: Any, prefix: str) -> list[str]:
    missing = [f"it lacks {prefix + name!r}" for name in wanted if name not in state]
    return missing + [f"it has unexpected {prefix + n!r}" for n in state if n not in wanted]


def _misfits(state: Mapping[str, Any], module: Any) -> list[str]:
    """Entries of a module's state that it has not, or has in another shape."""
    if not isinstance(module, torch.nn.Module):
        return []
    own = module.state_dict()
    found = _unequal_names(state, own, "loss_module/")
    return found + [
        f"'loss_module/{name}' is {_kind(state[name])}, expected {_kind(value)}"
        for name, value in own.items()
        if name in state and not _alike(state[name], value)
    ]


def _alike(one: Any, other: Any) -> bool:
    tensors = isinstance(one, torch.Tensor), isinstance(other, torch.Tensor)
    return tensors == (False, False) or (all(tensors) and one.shape == other.shape)


def _kind(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__
