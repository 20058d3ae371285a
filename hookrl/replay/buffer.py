"""The replay buffer: collector batches in, random transitions out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.errors import InvalidType, InvalidValue
from hookrl.replay.columns import as_array
from hookrl.replay.contents import Contents
from hookrl.replay.samplers import Sampler, UniformSampler
from hookrl.replay.spec import REWARD, Spec, spec_of
from hookrl.replay.store import TransitionStore
from hookrl.state import restored, same_keys, snapshot

WEIGHT = "_weight"
"""Where importance weights are in a sample."""

_NO_DISCOUNTS = torch.zeros(0, dtype=torch.float64)


class Drawn(NamedTuple):
    """Transitions that were chosen, but not yet gathered."""

    places: torch.Tensor
    """Where they are, int64 ``[n_step + 2, B]`` on the host; see `hookrl.replay.samples`."""
    discounts: torch.Tensor
    """Of the steps of a return behind the first, float64 ``[n_step - 1]``."""
    weights: np.ndarray | None
    """Importance weights, float32 ``[B]``; None: all 1."""


class ReplayBuffer:
    """Keeps the last transitions of every environment and draws from them.

    Batches ``[envs, time]`` go in as a collector yields them, by slices, into a ring
    ``[envs, capacity // envs]`` that is allocated at the first one. Observations are stored once:
    the next observation of a transition is that of the row behind it; where it is not (an episode
    ended, the collector began anew, nothing newer has come yet) it lies in a compact side table.
    Whether it is, is seen by comparing, so any stream of transitions comes out as it went in.
    Frames that ``("collector", "mask")`` marks False are never drawn and no return reaches them.

    n-step returns are computed when they are drawn, from the environment's own stream:
    ``R = r_0 + γ r_1 + … + γ^(m-1) r_(m-1)`` with the observation behind step m-1 to bootstrap from
    (Sutton 1988; in deep RL, Mnih et al. 2016 and Hessel et al. 2018). m is `n_step`, or less
    where the episode ends, by truncation as well as by termination, where the stream is
    interrupted, and at the newest transition: a start whose window is not complete yet uses the
    shorter one. ``steps_to_next_obs`` is m (left out if `n_step` is 1), so the target is right:
    ``R + γ^m (1 - terminated) V(next observation)``.

    Args:
        capacity: transitions kept, over all environments; rounded down to a multiple of them.
        batch_size: transitions drawn at once.
        gamma: discount within an n-step return.
        n_step: the most steps a return sums.
        sampler: how to draw; None: `UniformSampler`. It belongs to this buffer alone.
        directory: keep the transitions in files there, which may be larger than memory and vanish
            with the process; None: in memory.
        device: where samples are put and, without a directory, transitions are kept; None: where
            the first batch is. Which rows are drawn is decided on the host in any case; with an
            accelerator, extending waits for it.

    Raises:
        InvalidValue: for numbers out of range.
        InvalidType: for a sampler that is not one of hookrl's.
    """

    takes_batches = True
    """`extend` takes batches ``[envs, time]``, not single transitions (`ReplayBufferTrainer`)."""

    def __init__(
        self,
        capacity: int,
        *,
        batch_size: int,
        gamma: float = 0.99,
        n_step: int = 1,
        sampler: Sampler | None = None,
        directory: str | Path | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        for name, value in (("capacity", capacity), ("batch_size", batch_size), ("n_step", n_step)):
            if value < 1:
                raise InvalidValue(f"ReplayBuffer({name}={value}): expected at least 1.")
        if not 0 <= gamma <= 1:
            raise InvalidValue(f"ReplayBuffer(gamma={gamma}): expected a number from 0 to 1.")
        if not isinstance(sampler, Sampler | None):
            raise InvalidType(
                f"ReplayBuffer(sampler={sampler!r}): expected one of hookrl.replay, such as "
                "PrioritizedSampler()."
            )
        self.capacity = capacity
        self.batch_size = batch_size
        self.gamma = gamma
        self.n_step = n_step
        self.sampler = UniformSampler() if sampler is None else sampler
        self.directory = None if directory is None else Path(directory)
        self.device = None if device is None else torch.device(device)
        self.rng = np.random.default_rng()
        self._store: TransitionStore | None = None

    def __len__(self) -> int:
        """Return the number of transitions that may be drawn."""
        return 0 if self._store is None else self._store.ring.count

    @property
    def write_count(self) -> int:
        """Transitions stored so far, also those that have been overwritten."""
        return 0 if self._store is None else self._store.ring.written

    def set_seed(self, seed_sequence: np.random.SeedSequence) -> None:
        """Seed what is drawn."""
        self.rng = np.random.default_rng(seed_sequence)

    def extend(self, batch: TensorDictBase) -> None:
        """Store a batch.

        Args:
            batch: ``[envs, time]``, or ``[time]`` of one environment, with "observation", "action",
                ("next", "observation"), ("next", "reward") ``[envs, time, 1]``, ("next", "done"),
                ("next", "terminated"), ("next", "truncated") bool ``[envs, time, 1]``, and perhaps
                ("collector", "mask") bool ``[envs, time]``. Observations and actions may be nested.
                Other entries are not stored.

        Raises:
            MissingKey: if one of these is not there.
            InvalidValue: if the batch is not laid out like the first one, or the first has more
                environments than the buffer has room for. Nothing has changed then.
        """
        if batch.batch_dims == 1:
            batch = batch.unsqueeze(0)
        if batch.batch_dims != 2:
            raise InvalidValue(
                f"ReplayBuffer.extend: the batch is {list(batch.batch_size)}, expected "
                "[envs, time]."
            )
        if not batch.batch_size.numel():
            return
        store = self._store
        if store is None:
            spec = spec_of(batch)
            reward = batch.get(REWARD)
            store = self._new_store(spec, batch.batch_size[0], reward.device)
        written = store.write(batch)
        if self._store is None:
            self._store = store
            self.sampler.start(store.ring)
        for columns in written:
            self.sampler.written(store.ring, columns)

    def sample(self, batch_size: int | None = None) -> TensorDict:
        """Draw transitions, with replacement.

        Args:
            batch_size: how many; None: `batch_size` of the buffer.

        Returns:
            ``[B]`` with "observation" and "action" of the start; ("next", "reward") ``[B, 1]``, the
            return over up to `n_step` steps; ("next", "observation"), ("next", "done"),
            ("next", "terminated") and ("next", "truncated") of its last step; "index" int64
            ``[B]``, what `update_priority` takes; if `n_step` is not 1, "steps_to_next_obs" int64
            ``[B, 1]``, the steps that were summed; with prioritized sampling "_weight" float32
            ``[B]``. All memory is fresh.

        Raises:
            InvalidValue: for none, or if the buffer holds fewer.
        """
        return self.read(self.draw(batch_size))

    def draw(self, batch_size: int | None = None) -> Drawn:
        """Choose transitions, on the host, which `read` or `gather` then bring together.

        Args:
            batch_size: how many; None: `batch_size` of the buffer.

        Raises:
            InvalidValue: for none, or if the buffer holds fewer.
        """
        size = self.batch_size if batch_size is None else batch_size
        store = self._store
        if size < 1:
            raise InvalidValue(f"ReplayBuffer.sample: batch_size={size}, expected at least 1.")
        if store is None or size > store.ring.count:
            raise InvalidValue(
                f"ReplayBuffer.sample: {size} transitions were asked for, but only {len(self)} are "
                "stored: extend the buffer first."
            )
        rows, weights = self.sampler.draw(store.ring, size, self.rng)
        places = torch.from_numpy(store.samples.locate(rows, self.n_step))
        return Drawn(places, self._discounts(), weights)

    def read(self, drawn: Drawn) -> TensorDict:
        """Return the transitions of a `draw`, as `sample` does."""
        store = self._filled()
        places, discounts, weights = drawn
        if store.device.type == "cpu":
            batch = store.samples.read(places, discounts)
        else:
            # Not blocking, or TensorDict waits for all that the device has to do.
            there = (one.to(store.device, non_blocking=True) for one in (places, discounts))
            batch = store.samples.gather(*there)
        if weights is not None:
            batch[WEIGHT] = torch.from_numpy(weights)
        device = self.device or store.device
        return batch if device.type == "cpu" else batch.to(device, non_blocking=True)

    def gather(self, places: torch.Tensor, discounts: torch.Tensor) -> TensorDict:
        """Return transitions by tensor code, where they are stored; for a captured step.

        Args:
            places: of `Drawn`, on that device.
            discounts: likewise.
        """
        return self._filled().samples.gather(places, discounts)

    @property
    def gathers(self) -> bool:
        """Whether a captured step may `gather` its samples itself.

        It may where all of them are drawn alike and tables stay where they are: on the host.
        """
        # A store in files lies on the host whatever device samples are put on.
        devices = self.device, None if self._store is None else self._store.device
        on_host = all(device is None or device.type == "cpu" for device in devices)
        return on_host and type(self.sampler) is UniformSampler

    def update_priority(self, index: torch.Tensor, priority: torch.Tensor) -> None:
        """Set priorities, such as absolute TD errors; the sampler adds epsilon and takes powers.

        Args:
            index: "index" of a sample, int64 ``[B]``; of duplicates the last one wins. Rows that
                may not be drawn keep priority 0.
            priority: ``[B]`` or ``[B, 1]``, finite and not negative.

        Raises:
            InvalidType: if the sampler has no priorities.
            InvalidValue: for an index outside of the buffer, another number of priorities, or
                priorities that are negative or not finite. Nothing has changed then.
        """
        rows = as_array(index).reshape(-1)
        priorities = as_array(priority.detach().double()).reshape(-1)
        valid = np.zeros(0, dtype=np.bool_) if self._store is None else self._store.ring.valid
        if rows.size != priorities.size:
            raise InvalidValue(
                f"ReplayBuffer.update_priority: {priorities.size} priorities for {rows.size} "
                "transitions."
            )
        if rows.size and not (rows.min() >= 0 and rows.max() < valid.size):
            raise InvalidValue(
                f"ReplayBuffer.update_priority: index from {rows.min()} to {rows.max()}, expected "
                f"'index' of a sample, from 0 to {valid.size - 1}."
            )
        if not (np.isfinite(priorities) & (priorities >= 0)).all():
            raise InvalidValue(
                "ReplayBuffer.update_priority: a priority is negative or not finite; the smallest "
                f"is {priorities.min()}, the largest {priorities.max()}."
            )
        known = valid.take(rows)
        if not known.all():
            rows, priorities = rows[known], priorities[known]
        self.sampler.update_priority(rows, priorities)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of what is filled, the sampler's state and the generator's.

        Copies are on the host; those of a buffer with a directory are in files there.
        """
        return self._state(live=False)

    def live_state_dict(self) -> dict[str, Any]:
        """Return the same without copying transitions: they are read while the buffer goes on."""
        return self._state(live=True)

    def _state(self, live: bool) -> dict[str, Any]:
        store = self._store
        return {
            "rng": snapshot(self.rng),
            "sampler": self.sampler.state_dict(None if store is None else store.ring),
            "contents": None if store is None else Contents.of(store, live).as_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state_dict` in place: the same transitions are drawn as from the original.

        Raises:
            MissingKey, InvalidValue: if the state is not one of a buffer of this capacity and
                sampler, or holds transitions of another layout. Nothing has changed then.
        """
        same_keys(state, ("rng", "sampler", "contents"), owner="ReplayBuffer")
        rng = restored(state["rng"], self.rng)
        store = self._store
        if state["contents"] is None:
            self.sampler.load_state_dict(state["sampler"], None if store is None else store.ring, 0)
            if store is not None:
                store.clear()
        else:
            contents = Contents.from_state(state["contents"], self.capacity)
            if store is None:
                store = self._new_store(contents.spec, contents.envs, torch.device("cpu"))
            contents.check_fits(store)
            self.sampler.load_state_dict(state["sampler"], store.ring, contents.filled)
            contents.put_into(store)
            self._store = store
        self.rng = rng

    def _filled(self) -> TransitionStore:
        if self._store is None:
            raise InvalidValue("ReplayBuffer: nothing is stored: extend the buffer first.")
        return self._store

    def _discounts(self) -> torch.Tensor:
        if self.n_step == 1:
            return _NO_DISCOUNTS
        powers = [self.gamma**step for step in range(1, self.n_step)]
        return torch.tensor(powers, dtype=torch.float64)

    def _new_store(self, spec: Spec, envs: int, device: torch.device) -> TransitionStore:
        if envs > self.capacity:
            raise InvalidValue(
                f"ReplayBuffer(capacity={self.capacity}): expected at least one transition for "
                f"each of {envs} environments."
            )
        if self.directory is not None:
            device = torch.device("cpu")
        elif self.device is not None:
            device = self.device
        return TransitionStore(spec, envs, self.capacity // envs, device, self.directory)
