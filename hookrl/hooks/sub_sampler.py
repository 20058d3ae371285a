"""Random parts of the collected batch: single transitions, or stretches of consecutive ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tensordict import TensorDictBase

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.state import integer_seed
from hookrl.tensordicts import frame_mask


class BatchSubSampler(TrainerHookBase):
    """Gives each optimization step a random part of the batch.

    Of a flat batch ``[frames]`` it takes `batch_size` transitions without replacement. Of a batch
    ``[..., time]`` it takes ``batch_size // sub_traj_len`` stretches of `sub_traj_len` consecutive
    frames, with replacement, every stretch of valid frames being equally likely; the result has
    shape ``[batch_size // sub_traj_len, sub_traj_len]``. Frames that ``("collector", "mask")``
    marks False are in no part. (torchrl's sampler never draws the last possible start.)

    Args:
        batch_size: frames in each part.
        sub_traj_len: length of a stretch; 0 or less: all the time steps of the batch. Where the
            mask interrupts the frames, the shortest run of valid ones limits it.
        min_sub_traj_len: such shorter runs limit it to this at least; they are then left out.

    Raises:
        InvalidValue: for a batch size below 1.
    """

    state_fields = ("_generator_state",)

    def __init__(self, batch_size: int, sub_traj_len: int = 0, min_sub_traj_len: int = 0) -> None:
        if batch_size < 1:
            raise InvalidValue(
                f"batch_size={batch_size} of a BatchSubSampler: expected at least 1."
            )
        self.batch_size = batch_size
        self.sub_traj_len = sub_traj_len
        self.min_sub_traj_len = min_sub_traj_len
        self._generator = torch.Generator()
        self._batch: TensorDictBase | None = None
        self._starts = torch.empty(0, dtype=torch.long)
        self._length = 1
        self._index: torch.Tensor | None = None
        self._prepared = False

    def set_seed(self, seed_sequence: np.random.SeedSequence) -> None:
        """Seed the choice of frames."""
        self._generator.manual_seed(integer_seed(seed_sequence))

    def register(self, trainer: TrainerLike, name: str = "batch_subsampler") -> None:
        """Look at each batch last at ``batch_process``; draw at ``process_optim_batch``."""
        trainer.register_op("batch_process", self.start, name=f"{name}.start", priority=100)
        trainer.register_op("process_optim_batch", self, name=name)
        trainer.register_module(name, self)

    def start(self, batch: TensorDictBase) -> None:
        """Begin with a new batch."""
        try:
            self._look_at(batch)
        except InvalidValue:
            # Another hook may give something else to take parts of; if not, `__call__` complains.
            self._batch = None

    def prepare(self, trainer: TrainerLike) -> None:
        """Draw the frames of the next part, on the host."""
        if self._batch is not None:
            self._draw(self._batch.ndim)
            self._prepared = True

    def __call__(self, batch: TensorDictBase) -> Any:
        """Return the part.

        Raises:
            InvalidValue: if no part of the wanted length fits into the batch.
            StopIteration: if no frame of the batch is valid.
        """
        if batch is not self._batch:
            self._look_at(batch)
            self._prepared = False
        if not self._prepared:
            self._draw(batch.ndim)
        self._prepared = False
        if self._index is None:
            raise StopIteration
        return batch.reshape(-1)[self._index]

    def _look_at(self, batch: TensorDictBase) -> None:
        """Where in the batch may a part start, and how long is it?"""
        mask = frame_mask(batch)
        steps = batch.shape[-1] if batch.ndim > 1 else 1
        if self.sub_traj_len > steps and batch.ndim > 1:
            raise InvalidValue(
                f"sub_traj_len={self.sub_traj_len} of a BatchSubSampler for batches of {steps} "
                f"steps: expected at most {steps}."
            )
        runs = _valid_runs(batch.batch_size.numel(), steps, mask)
        self._length = 1
        if batch.ndim > 1 and runs.any():
            wanted = self.sub_traj_len if self.sub_traj_len > 0 else steps
            shortest = int(_run_lengths(runs).min())
            self._length = max(self.min_sub_traj_len, min(wanted, shortest))
        if self.batch_size < self._length:
            raise InvalidValue(
                f"batch_size={self.batch_size} of a BatchSubSampler is below the length "
                f"{self._length} of its parts: expected the number of frames of all parts together."
            )
        self._starts = (runs >= self._length).nonzero()[:, 0]
        if runs.any() and not len(self._starts):
            raise InvalidValue(
                f"min_sub_traj_len={self.min_sub_traj_len} of a BatchSubSampler: expected no more "
                f"than the longest run of valid frames, which is {int(runs.max())}."
            )
        self._batch = batch

    def _draw(self, dimensions: int) -> None:
        if not len(self._starts):
            self._index = None
        elif dimensions == 1:
            order = torch.randperm(len(self._starts), generator=self._generator)
            self._index = self._starts[order[: self.batch_size]]
        else:
            parts = (self.batch_size // self._length,)
            chosen = torch.randint(len(self._starts), parts, generator=self._generator)
            self._index = self._starts[chosen].unsqueeze(-1) + torch.arange(self._length)

    @property
    def _generator_state(self) -> torch.Tensor:
        return self._generator.get_state()

    @_generator_state.setter
    def _generator_state(self, state: torch.Tensor) -> None:
        self._generator.set_state(state)


def _valid_runs(frames: int, steps: int, valid: torch.Tensor | None) -> torch.Tensor:
    """For each frame, flattened: how many valid ones follow in its row, itself included."""
    position = torch.arange(steps).expand(frames // steps, steps)
    if valid is None:
        return (steps - position).reshape(-1)
    blocked = torch.where(valid.reshape(-1, steps).cpu(), steps, position)
    next_blocked = blocked.flip(1).cummin(1).values.flip(1)
    return (next_blocked - position).reshape(-1)


def _run_lengths(runs: torch.Tensor) -> torch.Tensor:
    """Lengths of all runs of valid frames: a run starts behind an invalid frame or a last one."""
    starts = runs > 0
    starts[1:] &= runs[:-1] <= 1
    return runs[starts]
