"""What is saved: the trainer of a small PPO run, and one with a large replay buffer."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.checkpoints import encode
from hookrl.configs import PPOConfig
from hookrl.replay import ReplayBuffer
from hookrl.state import LiveTensor
from hookrl.trainers import PPOTrainer, Trainer

OBSERVATION, ACTION = 17, 6
"""Sizes in HalfCheetah."""
EPISODE = 1000
"""Steps until HalfCheetah's time limit."""
TRANSITION_BYTES = 4 * (OBSERVATION + ACTION + 1) + 3
"""Of observation, action, reward and three flags."""
_EPISODES_AT_ONCE = 100
_FINGERPRINTED = 1 << 16


class Subject(ABC):
    """Something to save, with the loop of training that goes on meanwhile."""

    trainer: Trainer
    """What hookrl saves and loads."""
    steps_before: int
    """Steps of the loop that tell how long one takes, undisturbed."""

    @abstractmethod
    def state(self) -> Any:
        """Return what the other ways save; of large tensors it holds the memory itself."""

    @abstractmethod
    def load(self, state: Any) -> None:
        """Restore `state`."""

    @abstractmethod
    def step(self) -> object:
        """Do one step of the loop."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of what must come back."""


class SmallTrainer(Subject):
    """PPO on CartPole-v1 after two batches; a step is one gradient.

    Args:
        trained: whether there is anything in it; otherwise it is there to be loaded into.
    """

    steps_before = 100

    def __init__(self, trained: bool) -> None:
        config = PPOConfig(total_frames=2048, num_envs=8, steps_per_env=128, progress_bar=False)
        self.trainer = PPOTrainer.from_config(config)
        self._minibatch: TensorDictBase | None = None
        if trained:
            self.trainer.register_op("process_optim_batch", self._keep)
            self.trainer.train()

    def state(self) -> Any:
        """Return the trainer's state."""
        return self.trainer.state_dict()

    def load(self, state: Any) -> None:
        """Load the trainer's state."""
        self.trainer.load_state_dict(state)

    def step(self) -> object:
        """Compute the gradient of the losses of a minibatch of 256."""
        losses = self.trainer.loss_module(self._minibatch)
        return sum(v for k, v in losses.items() if k.startswith("loss_")).backward()

    def fingerprint(self) -> str:
        """Hash weights, optimizer and hooks, environments, and generators."""
        state = self.trainer.state_dict()
        parts = {name: state[name] for name in ("loss_module", "modules", "collector")}
        skeleton, tensors = encode(parts)
        digest = hashlib.blake2b(skeleton.encode())
        for tensor in tensors.values():
            assert isinstance(tensor, torch.Tensor)
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def _keep(self, batch: TensorDictBase) -> TensorDictBase:
        self._minibatch = batch.clone()
        return batch


class LargeBuffer(Subject):
    """A full replay buffer; a step is one transition in and a sample of 256 out.

    Args:
        transitions: capacity.
        filled: whether there is anything in it; otherwise it is there to be loaded into.
        directory: keep the transitions in files there; None: in memory.
    """

    steps_before = 1500

    def __init__(self, transitions: int, filled: bool, directory: Path | None = None) -> None:
        self.buffer = ReplayBuffer(transitions, batch_size=256, directory=directory)
        self.trainer = Trainer(
            collector=[],
            total_frames=1,
            optim_steps_per_batch=1,
            loss_module=lambda batch: batch,
            progress_bar=False,
            exact_resume="off",
        )
        self.trainer.register_module("replay_buffer", self.buffer)
        self._stream: list[TensorDictBase] = []
        self._position = 0
        if filled:
            self._fill(transitions)

    def state(self) -> Any:
        """Return the buffer's state with the buffer's own tensors in it.

        `ReplayBuffer.state_dict` would copy them: the other ways are spared that.
        """
        state = self.buffer.live_state_dict()
        values, columns = state["contents"]["values"], self._columns()
        for key, live in values.items():
            assert isinstance(live, LiveTensor)
            live.release()
            values[key] = columns[key].unflatten(0, live.shape[:2])
        return state

    def load(self, state: Any) -> None:
        """Load the buffer's state."""
        self.buffer.load_state_dict(state)

    def step(self) -> object:
        """Store one transition and draw a sample."""
        self.buffer.extend(self._stream[self._position])
        self._position = (self._position + 1) % len(self._stream)
        return self.buffer.sample()

    def fingerprint(self) -> str:
        """Hash the transitions that are overwritten next, as many throughout, and a sample."""
        digest = hashlib.blake2b(f"{len(self.buffer)} {self.buffer.write_count}".encode())
        for values in self._columns().values():
            stride = max(len(values) // _FINGERPRINTED, 1)
            for part in (values[:_FINGERPRINTED], values[::stride]):
                digest.update(part.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        rng = copy.deepcopy(self.buffer.rng)
        digest.update(self.buffer.sample()["index"].numpy().data)
        self.buffer.rng = rng
        return digest.hexdigest()

    def _columns(self) -> dict[Any, torch.Tensor]:
        store = self.buffer._store
        assert store is not None
        return {key: column.values for key, column in store.columns.items()}

    def _fill(self, transitions: int) -> None:
        generator = torch.Generator().manual_seed(0)
        chunk = _episodes(min(_EPISODES_AT_ONCE, -(-transitions // EPISODE)), generator)
        length = chunk.shape[1]
        for start in range(0, transitions, length):
            chunk["next", "reward"][0, :, 0] = torch.arange(start, start + length)  # all differ
            self.buffer.extend(chunk[:, : transitions - start])
        self._stream = [*_episodes(1, generator).split(1, dim=1)]


def _episodes(count: int, generator: torch.Generator) -> TensorDictBase:
    """Return whole episodes of one environment, ``[1, time]``, that end by the time limit."""
    time = count * EPISODE
    observations = torch.randn(1, time, OBSERVATION, generator=generator)
    following = observations.roll(-1, dims=1)
    ends = torch.zeros(1, time, 1, dtype=torch.bool)
    ends[:, EPISODE - 1 :: EPISODE] = True
    following[ends.squeeze(-1)] = torch.randn(count, OBSERVATION, generator=generator)
    return TensorDict(
        {
            "observation": observations,
            "action": torch.rand(1, time, ACTION, generator=generator),
            "next": {
                "observation": following,
                "reward": torch.randn(1, time, 1, generator=generator),
                "done": ends,
                "terminated": torch.zeros_like(ends),
                "truncated": ends.clone(),
            },
        },
        batch_size=[1, time],
    )
