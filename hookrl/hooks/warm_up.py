"""When there is learning at all: not before so many frames, and not more often than needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.cadence import Cadence
from hookrl.state import same_keys


class WarmUp(TrainerHookBase):
    """Skips the inner loop until `learning_starts` frames were collected.

    Nothing is sampled from a replay buffer meanwhile; all outer points run.

    Args:
        learning_starts: frames; the batch that reaches them is the first to be followed by
            learning. 0: no waiting.

    Raises:
        InvalidValue: for a negative number.
    """

    def __init__(self, learning_starts: int) -> None:
        if learning_starts < 0:
            raise InvalidValue(f"learning_starts={learning_starts}: expected 0 or more.")
        self.learning_starts = learning_starts

    def register(self, trainer: TrainerLike, name: str = "warm_up") -> None:
        """Hang the hook on ``pre_optim_steps``."""
        trainer.register_op("pre_optim_steps", self, name=name)
        trainer.register_module(name, self)

    def __call__(self) -> None:
        """Let the inner loop run, or not yet."""
        frames = self._trainer.collected_frames
        if frames < self.learning_starts:
            self._trainer.end_inner_loop(f"{frames} of {self.learning_starts} warm-up frames")


class TrainFrequency(TrainerHookBase):
    """Runs the inner loop only after batches that reach another multiple of `frames`.

    It makes learning rarer than batches are; a batch of many multiples is still followed by one
    inner loop, whose length is the trainer's ``optim_steps_per_batch``.

    Args:
        frames: collected frames between two inner loops.

    Raises:
        InvalidValue: if below 1.
    """

    def __init__(self, frames: int) -> None:
        if frames < 1:
            raise InvalidValue(f"frames={frames} of TrainFrequency: expected at least 1.")
        self.frames = frames
        self._cadence = Cadence(every_frames=frames)

    def register(self, trainer: TrainerLike, name: str = "train_frequency") -> None:
        """Hang the hook on ``pre_optim_steps``."""
        trainer.register_op("pre_optim_steps", self, name=name)
        trainer.register_module(name, self)

    def __call__(self) -> None:
        """Let the inner loop run if a multiple was reached."""
        if not self._cadence.due(self._trainer.collected_frames):
            self._trainer.end_inner_loop(f"learning comes every {self.frames} frames")

    def state_dict(self) -> dict[str, Any]:
        """The next multiple."""
        return self._cadence.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on waiting for the next multiple.

        Raises:
            MissingKey: if the entries are not this hook's; nothing is changed then.
        """
        same_keys(state_dict, self.state_dict(), owner=type(self).__name__)
        self._cadence.load_state_dict(state_dict)
