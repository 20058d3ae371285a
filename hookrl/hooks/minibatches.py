"""Minibatches of the collected batch: without replacement, several epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.state import integer_seed
from hookrl.tensordicts import device_of, flattened, frame_mask, rows

_TOGETHER = 100_000
"""Indices that are drawn at once."""


class Minibatches(TrainerHookBase):
    """Cuts each batch into minibatches, in a new random order every epoch.

    Every valid frame is in exactly one minibatch of an epoch; sizes differ by one at most. Frames
    that ``("collector", "mask")`` marks False are left out. When the epochs are over, the inner
    loop ends.

    Args:
        minibatches: in each epoch.
        epochs: passes over the batch.
        keys: entries of the batch that the loss reads; None keeps all.

    Raises:
        InvalidValue: for counts below 1.
    """

    capturable = True
    inputs = ("_index",)
    state_fields = ("_generator_state",)

    def __init__(
        self, minibatches: int, epochs: int = 1, *, keys: Sequence[NestedKey] | None = None
    ) -> None:
        if minibatches < 1 or epochs < 1:
            raise InvalidValue(
                f"Minibatches(minibatches={minibatches}, epochs={epochs}): expected at least 1 "
                "of each."
            )
        self.minibatches = minibatches
        self.epochs = epochs
        self.keys = None if keys is None else list(keys)
        self.reads = tuple(keys or ())
        self._generator = torch.Generator()
        self._started = False
        self._prepared = False
        self._valid: torch.Tensor | None = None
        self._source: TensorDictBase | None = None
        self._flat: TensorDictBase | None = None
        self._frames = 0
        self._epoch = 0
        self._indices: list[torch.Tensor] = []
        self._index: torch.Tensor | None = None

    def set_seed(self, seed_sequence: np.random.SeedSequence) -> None:
        """Seed the order of frames."""
        self._generator.manual_seed(integer_seed(seed_sequence))

    @property
    def varying(self) -> tuple[str, ...]:  # type: ignore[override]
        """Inputs whose length varies: the index, if not all minibatches are equally long."""
        equal = self._valid is None and not self._frames % self.minibatches
        return () if equal else self.inputs

    def register(self, trainer: TrainerLike, name: str = "minibatches") -> None:
        """Look at each batch last at ``batch_process``; draw at ``process_optim_batch``."""
        trainer.register_op("batch_process", self.start, name=f"{name}.start", priority=100)
        trainer.register_op("process_optim_batch", self, name=name)
        trainer.register_module(name, self)

    def start(self, batch: TensorDictBase) -> None:
        """Begin with a new batch: which of its frames count?"""
        mask = frame_mask(batch)
        self._valid = None if mask is None else mask.reshape(-1).nonzero()[:, 0]
        self._frames = batch.batch_size.numel() if self._valid is None else len(self._valid)
        if self._frames < self.minibatches:
            raise InvalidValue(
                f"a batch has {self._frames} valid frames for {self.minibatches} minibatches: "
                "expected at least one frame for each."
            )
        self._started = True
        self._epoch = 0
        self._indices = []
        self._flat = None

    def prepare(self, trainer: TrainerLike | None = None) -> None:
        """Draw the indices of the next minibatch, on the host.

        Raises:
            InvalidValue: if the hook was not shown the batch.
        """
        if not self._started:
            raise InvalidValue(
                "Minibatches has seen no batch to cut: expected its start to be registered at "
                "'batch_process'."
            )
        self._prepared = True
        if not self._indices:
            if self._epoch == self.epochs:
                self._index = None
                return
            self._draw()
        if len(self._indices) % self.minibatches == 0:  # an epoch begins
            self._flat = None
        self._index = self._indices.pop()

    def _draw(self) -> None:
        """Draw the next epochs, of small batches several at once.

        Between two optimization steps a call into torch takes five times as long as behind another.
        """
        together = max(_TOGETHER // self._frames, 1)
        for _ in range(min(together, self.epochs - self._epoch)):
            order = torch.randperm(self._frames, generator=self._generator)
            if self._valid is not None:
                order = self._valid[order.to(self._valid.device)]
            self._indices += order.tensor_split(self.minibatches)
            self._epoch += 1
        self._indices.reverse()

    def __call__(self, batch: TensorDictBase) -> Any:
        """Return the minibatch.

        Raises:
            StopIteration: when the last epoch is over.
        """
        if not self._prepared:  # by a trainer that does not know of this phase
            self.prepare()
        self._prepared = False
        if self._index is None:
            raise StopIteration
        if self._flat is None or batch is not self._source:
            # Once per epoch, as advantages may have been computed anew, and whenever a hook ahead
            # of this one gave another batch.
            self._source = batch
            self._flat = flattened(batch if self.keys is None else batch.select(*self.keys))
            self._move_indices(device_of(self._flat))
        return rows(self._flat, self._index)

    def _move_indices(self, device: torch.device | None) -> None:
        """Put the indices where the batch is: else each entry would wait for them, at each step."""
        assert self._index is not None
        if device not in (None, self._index.device):
            self._index = self._index.to(device, non_blocking=True)
            self._indices = [index.to(device, non_blocking=True) for index in self._indices]

    @property
    def _generator_state(self) -> torch.Tensor:
        return self._generator.get_state()

    @_generator_state.setter
    def _generator_state(self, state: torch.Tensor) -> None:
        self._generator.set_state(state)
