"""The trainer's state: gathering it, restoring it, and when it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from hookrl import checkpoints
from hookrl.errors import InvalidValue, MissingKey
from hookrl.state import Stateful, generators_state, load_generators_state, same_keys
from hookrl.trainers.host import HookHost
from hookrl.trainers.metrics import MetricLog

_COUNTERS = ("collected_frames", "optim_steps", "last_save")


class Checkpointing(HookHost):
    """A host of hooks whose state can be saved and restored."""

    collector: Any
    loss_module: Any
    logger: Any
    metrics: MetricLog
    optim_steps: int
    """Optimization steps so far."""
    save_trainer_file: str | Path | None
    """Where checkpoints go; None: nowhere."""
    save_trainer_interval: int
    """Frames between checkpoints; 0: none but on request."""
    last_save: int
    """Frames at the last checkpoint."""
    _seed_process: bool
    """Whether the process-wide generators are still to be seeded."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that was registered, the counters, and all generators."""
        self.complete_modules()
        return {
            "counters": {name: getattr(self, name) for name in _COUNTERS},
            "cadences": self.hooks.state_dict(),
            "generators": generators_state(),
            **{name: part.state_dict() for name, part in self._stateful_parts().items()},
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            MissingKey: if the trainer is assembled differently; nothing is changed then.
        """
        self.complete_modules()
        parts = self._stateful_parts()
        same_keys(state, ("counters", "cadences", "generators", *parts, "modules"), owner="Trainer")
        same_keys(state["modules"], self.modules, owner="the modules of the Trainer")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.hooks.load_state_dict(state["cadences"])
        for name in _COUNTERS:
            setattr(self, name, int(state["counters"][name]))
        load_generators_state(state["generators"])
        self._seed_process = False

    def save_trainer(self, force_save: bool = False) -> None:
        """Write a checkpoint if one is due, or if forced.

        Raises:
            InvalidValue: if forced without a `save_trainer_file`.
        """
        if self.save_trainer_file is None:
            if force_save:
                raise InvalidValue(
                    "save_trainer(force_save=True) without a place for it: expected the Trainer to "
                    "have a save_trainer_file."
                )
            return
        interval, frames = self.save_trainer_interval, self.collected_frames
        due = interval and frames // interval > self.last_save // interval
        if due or force_save:
            self.last_save = frames
            checkpoints.save(self.state_dict(), self.save_trainer_file)

    def load_from_file(self, file: str | Path) -> Self:
        """Restore a checkpoint of either format; returns the trainer itself.

        Raises:
            MissingFile: if there is none.
            MissingKey: if it belongs to a trainer that is assembled differently.
        """
        state = checkpoints.load(file)
        if not isinstance(state, dict):
            raise MissingKey(f"{file} holds a {type(state).__name__}: expected a trainer's state.")
        self.load_state_dict(state)
        return self

    def _stateful_parts(self) -> dict[str, Stateful]:
        """The parts that are no registered modules; those without state are left out."""
        candidates = {
            "collector": self.collector,
            "loss_module": self.loss_module,
            "logger": self.logger,
            "metrics": self.metrics,
        }
        return {name: part for name, part in candidates.items() if isinstance(part, Stateful)}
