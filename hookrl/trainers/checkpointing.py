"""The trainer's state: gathering it, restoring it, and when it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hookrl import checkpoints
from hookrl.errors import InvalidValue, MissingKey
from hookrl.state import Stateful, generators_state, load_generators_state, same_keys

if TYPE_CHECKING:
    from hookrl.trainers.trainer import Trainer

_COUNTERS = ("collected_frames", "optim_steps", "_last_log", "_last_save")


class Checkpointing:
    """State and checkpoints of a `Trainer`."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that was registered, the counters, and all generators."""
        trainer = cast("Trainer", self)
        trainer._complete_modules()
        return {
            "counters": {name: getattr(trainer, name) for name in _COUNTERS},
            "cadences": trainer.hooks.state_dict(),
            "metrics": trainer._metrics.state_dict(),
            "generators": generators_state(),
            **{name: part.state_dict() for name, part in _stateful_parts(trainer).items()},
            "modules": {name: module.state_dict() for name, module in trainer.modules.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            MissingKey: if the trainer is assembled differently; nothing is changed then.
        """
        trainer = cast("Trainer", self)
        trainer._complete_modules()
        parts = _stateful_parts(trainer)
        same_keys(
            state,
            ("counters", "cadences", "metrics", "generators", *parts, "modules"),
            owner="Trainer",
        )
        same_keys(state["modules"], trainer.modules, owner="the modules of the Trainer")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        for name, module in trainer.modules.items():
            module.load_state_dict(state["modules"][name])
        trainer.hooks.load_state_dict(state["cadences"])
        trainer._metrics.load_state_dict(state["metrics"])
        for name in _COUNTERS:
            setattr(trainer, name, int(state["counters"][name]))
        load_generators_state(state["generators"])

    def save_trainer(self, force_save: bool = False) -> None:
        """Write a checkpoint if one is due, or if forced.

        Raises:
            InvalidValue: if forced without a `save_trainer_file`.
        """
        trainer = cast("Trainer", self)
        if trainer.save_trainer_file is None:
            if force_save:
                raise InvalidValue(
                    "save_trainer(force_save=True) without a place for it: expected the Trainer to "
                    "have a save_trainer_file."
                )
            return
        interval, frames = trainer.save_trainer_interval, trainer.collected_frames
        due = interval and frames // interval > trainer._last_save // interval
        if due or force_save:
            trainer._last_save = frames
            checkpoints.save(self.state_dict(), trainer.save_trainer_file)

    def load_from_file(self, file: str | Path) -> Trainer:
        """Restore a checkpoint of either format; returns the trainer itself.

        Raises:
            MissingFile: if there is none.
            MissingKey: if it belongs to a trainer that is assembled differently.
        """
        trainer = cast("Trainer", self)
        state = checkpoints.load(file)
        if not isinstance(state, dict):
            raise MissingKey(f"{file} holds a {type(state).__name__}: expected a trainer's state.")
        self.load_state_dict(state)
        return trainer


def _stateful_parts(trainer: Trainer) -> dict[str, Stateful]:
    candidates = {
        "collector": trainer.collector,
        "loss_module": trainer.loss_module,
        "logger": trainer.logger,
    }
    return {name: part for name, part in candidates.items() if isinstance(part, Stateful)}
