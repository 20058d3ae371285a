"""A replay buffer of plain Python lists, and random streams to fill both with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from tensordict import TensorDict

from hookrl.replay import Sampler


class Frame(NamedTuple):
    observation: float
    action: int
    reward: float
    next_observation: float
    terminated: bool
    truncated: bool
    valid: bool


class Stream:
    """Frames of some environments; every observation has a number of its own.

    Args:
        seed: of everything.
        envs: environments.
        ends: probability that an episode ends at a frame, by either kind.
        masked: probability that a frame is masked out.
        breaks: probability that the next frame begins elsewhere although nothing ended.
        returns: every episode begins with the very observation that the one before ended with.
        resets: what autoreset mode NEXT_STEP does: a masked frame behind each episode's last.
    """

    def __init__(
        self,
        seed: int,
        envs: int,
        *,
        ends: float = 0.2,
        masked: float = 0.0,
        breaks: float = 0.0,
        returns: bool = False,
        resets: bool = False,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.ends, self.masked, self.breaks, self.resets = ends, masked, breaks, resets
        self.returns = returns
        self.fresh = 0.0
        self.current = [self.new() for _ in range(envs)]
        self.over = [False] * envs

    def new(self) -> float:
        self.fresh += 1
        return self.fresh

    def frame(self, env: int) -> Frame:
        rng, observation, following = self.rng, self.current[env], self.new()
        if self.resets and self.over[env]:
            self.over[env], self.current[env] = False, following
            return Frame(observation, 0, float("nan"), following, False, False, False)
        ended = rng.random() < self.ends
        terminated = bool(ended and rng.random() < 0.6)
        truncated = bool(ended and (not terminated or rng.random() < 0.2))
        self.over[env] = ended
        elsewhere = rng.random() < self.breaks or (ended and not (self.resets or self.returns))
        self.current[env] = self.new() if elsewhere else following
        valid = rng.random() >= self.masked
        reward = float(np.float32(rng.normal())) if valid else float("inf")
        return Frame(
            observation, int(rng.integers(9)), reward, following, terminated, truncated, valid
        )

    def frames(self, steps: int) -> list[list[Frame]]:
        """``[envs][steps]``."""
        return [[self.frame(env) for _ in range(steps)] for env in range(len(self.current))]


def as_batch(frames: list[list[Frame]], *, mask: bool = True) -> TensorDict:
    """The batch that a collector would yield, with observations ``[2]``."""

    def column(name: str, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([[getattr(f, name) for f in row] for row in frames], dtype=dtype)

    size = (len(frames), len(frames[0]))
    terminated = column("terminated", torch.bool).unsqueeze(-1)
    truncated = column("truncated", torch.bool).unsqueeze(-1)
    batch = TensorDict(
        {
            "observation": observation(column("observation", torch.float32)),
            "action": column("action", torch.int64),
            "next": TensorDict(
                {
                    "observation": observation(column("next_observation", torch.float32)),
                    "reward": column("reward", torch.float32).unsqueeze(-1),
                    "done": terminated | truncated,
                    "terminated": terminated,
                    "truncated": truncated,
                },
                batch_size=size,
            ),
        },
        batch_size=size,
    )
    if mask:
        batch["collector", "mask"] = column("valid", torch.bool)
    return batch


def observation(number: torch.Tensor) -> torch.Tensor:
    return torch.stack([number, -number], dim=-1)


class ReferenceBuffer:
    """Keeps the last frames of every environment and follows them one by one."""

    def __init__(self, capacity: int, envs: int, n_step: int, gamma: float) -> None:
        self.steps, self.n_step, self.gamma = capacity // envs, n_step, gamma
        self.kept: list[list[Frame]] = [[] for _ in range(envs)]
        self.dropped = 0

    def extend(self, frames: list[list[Frame]]) -> None:
        kept = [(old + new)[-self.steps :] for old, new in zip(self.kept, frames, strict=True)]
        # Of a batch longer than the ring only the end ever had a place in it.
        self.dropped += len(self.kept[0]) + min(len(frames[0]), self.steps) - len(kept[0])
        self.kept = kept

    def transitions(self) -> dict[int, tuple[Any, ...]]:
        """Every transition that may be drawn, by index."""
        found = {}
        for env, frames in enumerate(self.kept):
            for age, frame in enumerate(frames):
                if frame.valid:
                    column = (self.dropped + age) % self.steps
                    found[env * self.steps + column] = self.transition(frames[age:])
        return found

    def transition(self, frames: list[Frame]) -> tuple[Any, ...]:
        total, used, last = frames[0].reward, 1, frames[0]
        for following in frames[1 : self.n_step]:
            goes_on = (
                not (last.terminated or last.truncated)
                and following.valid
                and following.observation == last.next_observation
            )
            if not goes_on:
                break
            total += self.gamma**used * following.reward
            used, last = used + 1, following
        return (
            frames[0].observation,
            frames[0].action,
            float(np.float32(total)),
            used,
            last.next_observation,
            last.terminated or last.truncated,
            last.terminated,
            last.truncated,
        )


class EveryRow(Sampler):
    """Draws each transition that may be drawn, once."""

    def draw(self, ring: Any, batch_size: int, rng: Any) -> Any:
        return np.flatnonzero(ring.valid), None


def everything(buffer: Any) -> TensorDict:
    return buffer.sample(len(buffer))


def as_transitions(sample: TensorDict) -> dict[int, tuple[Any, ...]]:
    """What `ReferenceBuffer.transitions` returns, out of a sample."""
    following = sample["next"]
    assert torch.equal(sample["observation"], observation(sample["observation"][:, 0]))
    assert torch.equal(following["observation"], observation(following["observation"][:, 0]))
    once = torch.ones(len(sample), 1, dtype=torch.int64)
    columns = [
        sample["observation"][:, 0],
        sample["action"],
        following["reward"].squeeze(-1),
        sample.get("steps_to_next_obs", once).squeeze(-1),
        following["observation"][:, 0],
        following["done"].squeeze(-1),
        following["terminated"].squeeze(-1),
        following["truncated"].squeeze(-1),
    ]
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return dict(zip(sample["index"].tolist(), rows, strict=True))
