"""Remembers what was collected, and learns from samples of it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tensordict import TensorDictBase, pad

from hookrl.errors import InvalidType, InvalidValue, MissingKey, did_you_mean
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.foreign_buffers import buffer_state, load_buffer_state
from hookrl.state import LiveStateful, same_keys
from hookrl.tensordicts import MASK, assembled, frame_mask


class ReplayBufferTrainer(TrainerHookBase):
    """Extends a replay buffer by each batch, samples from it, and hands priorities back.

    The batch itself goes on to the logging hooks unchanged. Transitions are stored, never whole
    trajectories unless `max_dims` asks for them; frames that ``("collector", "mask")`` marks False
    are left out. Nothing may be sampled before the buffer holds a whole sample: a `WarmUp` waits.

    Two kinds of buffers are known. One that says ``takes_batches = True``, as hookrl's do, has
    ``extend(batch)`` for batches ``[envs, time]``, ``sample()``, ``__len__`` and, if it is
    prioritized, ``update_priority(index, priority)``. Any other is taken for one of torchrl's.

    Args:
        replay_buffer: the buffer; the trainer's ``replay_buffer`` from registration on.
        batch_size: transitions in a sample; None: the buffer's own.
        memmap: hand torchrl's buffer memory-mapped transitions, for a storage that keeps them.
        device: where samples are put; None: where they are stored.
        flatten_tensordicts: whether transitions are stored. They are in any case; torchrl's other
            way is `max_dims`.
        max_dims: store each row of the batch as one padded trajectory; the largest sizes of the
            batch's dimensions, -1 where no padding is wanted. Padding is masked.
        iterate: go through the buffer by its iterator; its end ends the inner loop.
        index_key: entry of a sample that says where each transition is stored.
        priority_key: entry of a sample from which new priorities are read, where the buffer does
            not read it itself.
        save_contents: whether checkpoints hold what is stored. Without it they are small, and a
            resumed run begins with an empty buffer: it does not go on exactly, and does not learn
            before the buffer holds a sample.

    Raises:
        InvalidType: for something that is no replay buffer, or cannot take priorities back.
        InvalidValue: for arguments that exclude each other.
    """

    deferrable = True

    def __init__(
        self,
        replay_buffer: Any,
        batch_size: int | None = None,
        memmap: bool = False,
        device: torch.device | str | None = None,
        flatten_tensordicts: bool = False,
        max_dims: Sequence[int] | None = None,
        iterate: bool = False,
        *,
        index_key: str = "index",
        priority_key: str = "td_error",
        save_contents: bool = True,
    ) -> None:
        for method in ("extend", "sample", "__len__"):
            if not callable(getattr(replay_buffer, method, None)):
                raise InvalidType(
                    f"replay_buffer is a {type(replay_buffer).__name__} without {method}: "
                    "expected a replay buffer of hookrl or torchrl."
                )
        takes_batches = bool(getattr(replay_buffer, "takes_batches", False))
        if not takes_batches and not hasattr(replay_buffer, "storage"):
            raise InvalidType(
                f"replay_buffer is a {type(replay_buffer).__name__} with neither "
                "takes_batches=True nor torchrl's storage: expected it to say whether it takes "
                "batches [envs, time] or single transitions."
            )
        if batch_size is not None and batch_size < 1:
            raise InvalidValue(
                f"batch_size={batch_size} of ReplayBufferTrainer: expected at least 1."
            )
        self._takes_batches = takes_batches
        if max_dims is not None and (flatten_tensordicts or self._takes_batches):
            raise InvalidValue(
                "max_dims of ReplayBufferTrainer stores padded trajectories: expected a torchrl "
                "buffer, and flatten_tensordicts=False."
            )
        update = "update_priority" if self._takes_batches else "update_tensordict_priority"
        self._update = getattr(replay_buffer, update, None)
        sampler = getattr(replay_buffer, "sampler", None)
        if sampler is not None and not _is_prioritized(sampler):
            self._update = None
        elif sampler is not None and self._update is None:
            raise InvalidType(
                f"the prioritized sampler of a {type(replay_buffer).__name__} cannot be told new "
                "priorities: expected a TensorDictReplayBuffer."
            )
        self._buffer = replay_buffer
        self.batch_size = batch_size
        self.memmap = memmap
        self.device = device
        self.flatten_tensordicts = flatten_tensordicts
        self.max_dims = None if max_dims is None else list(max_dims)
        self.iterate = iterate
        self.index_key = index_key
        self.priority_key = priority_key
        self.save_contents = save_contents
        self._iterator: Iterator[Any] | None = None
        self._refilling = False
        self._drawn: Any = None
        self._places: torch.Tensor | None = None
        self._discounts: torch.Tensor | None = None
        self._empty: TensorDictBase = assembled({}, torch.Size())

    @property
    def replay_buffer(self) -> Any:
        """The buffer."""
        return self._buffer

    @property
    def capturable(self) -> bool:  # type: ignore[override]
        """Whether a captured step gathers the sample itself, of what `prepare` has drawn."""
        apart = self.iterate or self.device is not None or self._update is not None
        return bool(not apart and getattr(self._buffer, "gathers", False))

    inputs = ("_places", "_discounts")

    @property
    def exact_resume(self) -> str:
        """How a resumed run goes on: "exact", or "impossible" without what is stored."""
        return "exact" if self.save_contents else "impossible"

    def set_seed(self, seed_sequence: np.random.SeedSequence) -> None:
        """Seed the sampling of a buffer that can be; torchrl's draw from torch's own generator."""
        if self._takes_batches and hasattr(self._buffer, "set_seed"):
            self._buffer.set_seed(seed_sequence)

    def register(self, trainer: TrainerLike, name: str = "replay_buffer") -> None:
        """Extend at ``batch_process``, sample at ``process_optim_batch``, update at ``post_loss``.

        The last only if the buffer can take priorities.
        """
        trainer.register_op("batch_process", self.extend, name=f"{name}.extend")
        trainer.register_op("process_optim_batch", self.sample, name=f"{name}.sample")
        if self._update is not None:
            trainer.register_op("post_loss", self.update_priority, name=f"{name}.update_priority")
        trainer.register_module(name, self)
        trainer.replay_buffer = self._buffer

    def extend(self, batch: TensorDictBase) -> None:
        """Store a batch."""
        if self._takes_batches:
            self._buffer.extend(batch)
            return
        items = self._transitions(batch) if self.max_dims is None else self._trajectories(batch)
        if len(items):
            self._buffer.extend(items.memmap() if self.memmap else items)

    def prepare(self, trainer: TrainerLike) -> None:
        """Draw the next sample, on the host, where a captured step could gather it.

        Raises:
            InvalidValue: if it is larger than what is stored.
        """
        if self.capturable:
            self._drawn = self._buffer.draw(self.batch_size) if self._holds_enough() else None
            self._places, self._discounts, _ = self._drawn or (None, None, None)

    def stand_in(self) -> TensorDictBase:
        """Return what a captured step begins with instead of the batch, which means nothing here.

        It has the size of the sample that was drawn, and entries that the loss adds to it.
        """
        assert self._places is not None
        size = self._places.shape[1:]
        if self._empty.batch_size != size or not self._empty.is_empty():
            self._empty = assembled({}, size)
        return self._empty

    def sample(self, batch: Any) -> TensorDictBase:
        """Return a sample.

        Raises:
            InvalidValue: if it is larger than what is stored, or of no known size.
            StopIteration: if the buffer is iterated over and has come to its end, or was left out
                of the checkpoint and does not hold enough yet.
        """
        drawn, self._drawn = self._drawn, None
        if drawn is not None:
            if self._places is drawn.places:
                return self._buffer.read(drawn)
            # While a step is captured a tensor without values is in its place.
            return batch.update(self._buffer.gather(self._places, self._discounts))
        sample = self._next() if self.iterate else self._draw()
        return sample if self.device is None else sample.to(self.device)

    def update_priority(self, sub_batch: TensorDictBase) -> None:
        """Tell the buffer the priorities that the loss has found.

        Raises:
            MissingKey: if the loss left none.
        """
        if self._update is None:
            return
        if not self._takes_batches:
            self._update(sub_batch)
            return
        for key in (self.index_key, self.priority_key):
            if sub_batch.get(key, None) is None:
                present = list(map(str, sub_batch.keys()))
                raise MissingKey(
                    f"ReplayBufferTrainer finds no {key!r} to update priorities with"
                    f"{did_you_mean(key, present)}: the sample holds {', '.join(present)}."
                )
        self._update(sub_batch[self.index_key], sub_batch[self.priority_key].detach().abs())

    def state_dict(self) -> dict[str, Any]:
        """The contents of the buffer and everything its sampling depends on."""
        if not self.save_contents:
            state = None
        elif self._takes_batches:
            state = self._buffer.state_dict()
        else:
            state = buffer_state(self._buffer)
        return {"replay_buffer": state, "refilling": self._refilling}

    def live_state_dict(self) -> dict[str, Any]:
        """The same, of which only what a buffer cannot hand out live is copied."""
        if not (self.save_contents and self._takes_batches):
            return self.state_dict()
        live = isinstance(self._buffer, LiveStateful)
        state = self._buffer.live_state_dict() if live else self._buffer.state_dict()
        return {
            "replay_buffer": state if live else copy.deepcopy(state),
            "refilling": self._refilling,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore them; of a state without contents, leave the buffer as it is, with a warning.

        Raises:
            MissingKey: if the entries are not those of such a buffer; nothing is changed then.
        """
        same_keys(state_dict, ("replay_buffer", "refilling"), owner=type(self).__name__)
        state = state_dict["replay_buffer"]
        if state is None:
            warnings.warn(
                "the checkpoint was saved without the contents of its replay buffer "
                "(save_contents=False): training goes on with what this one holds, and not as it "
                "would have.",
                stacklevel=2,
            )
        elif self._takes_batches:
            self._buffer.load_state_dict(state)
        else:
            load_buffer_state(self._buffer, state)
        self._refilling = state is None or bool(state_dict["refilling"])
        self._iterator = None

    def _transitions(self, batch: TensorDictBase) -> TensorDictBase:
        mask = frame_mask(batch)
        # A copy of the structure: the buffer may add entries of its own.
        return (batch.reshape(-1) if mask is None else batch[mask]).copy()

    def _trajectories(self, batch: TensorDictBase) -> TensorDictBase:
        limits = self.max_dims or []
        if len(limits) != batch.ndim:
            raise InvalidValue(
                f"max_dims={limits} of ReplayBufferTrainer for a batch of shape "
                f"{tuple(batch.shape)}: expected one size for each dimension."
            )
        padding = []
        for limit, size in zip(limits, batch.shape, strict=True):
            if limit not in (-1, None) and limit < size:
                raise InvalidValue(
                    f"max_dims={limits} of ReplayBufferTrainer for a batch of shape "
                    f"{tuple(batch.shape)}: expected sizes that are no smaller."
                )
            padding += [0, 0 if limit == -1 else limit - size]
        batch = batch.copy()
        if any(padding) and MASK not in batch.keys(True):
            batch[MASK] = torch.ones(batch.shape, dtype=torch.bool, device=batch.device)
        return pad(batch, padding)

    def _draw(self) -> TensorDictBase:
        if not self._holds_enough():
            raise StopIteration
        if self.batch_size is None:
            return self._buffer.sample()
        return self._buffer.sample(self.batch_size)

    def _holds_enough(self) -> bool:
        """Whether there is enough for a sample; if not, it was left out of the checkpoint."""
        wanted = self.batch_size or getattr(self._buffer, "batch_size", None)
        if wanted is None:
            raise InvalidValue(
                "the replay buffer has no batch_size: expected one of the buffer or of "
                "ReplayBufferTrainer."
            )
        stored = len(self._buffer)
        if self._refilling:
            if stored < wanted:
                return False
            self._refilling = False
        if stored < wanted:
            raise InvalidValue(
                f"a sample of {wanted} was asked of a replay buffer that holds {stored}: expected "
                f"at least as many, or a hook that waits for them, such as "
                f"WarmUp(learning_starts={wanted})."
            )
        return True

    def _next(self) -> TensorDictBase:
        if self._iterator is None:
            self._iterator = iter(self._buffer)
        try:
            return next(self._iterator)
        except StopIteration:
            self._iterator = None
            raise


def _is_prioritized(sampler: Any) -> bool:
    """By its name: hookrl's and torchrl's share it, and importing torchrl takes a second."""
    return any(kind.__name__ == "PrioritizedSampler" for kind in type(sampler).__mro__)
