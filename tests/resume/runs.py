"""Small runs of every algorithm that can be stopped and compared to the bit."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from hookrl.checkpoints import encode
from hookrl.configs import DiscreteSACConfig, DQNConfig, PPOConfig, SACConfig, from_overrides
from hookrl.loggers import CSVLogger
from hookrl.loggers.csv import read_metrics
from hookrl.trainers import DiscreteSACTrainer, DQNTrainer, PPOTrainer, SACTrainer

ALGORITHMS: dict[str, tuple[Any, Any, list[str]]] = {
    "ppo": (
        PPOConfig,
        PPOTrainer,
        ["num_envs=3", "steps_per_env=17", "epochs=2", "network.hidden_sizes=[8]"],
    ),
    "dqn": (
        DQNConfig,
        DQNTrainer,
        [
            "num_envs=2",
            "train_frequency=14",
            "gradient_steps=2",
            "replay.learning_starts=40",
            "replay.batch_size=8",
            "replay.capacity=150",
            "target_interval=3",
            "network.hidden_sizes=[8]",
        ],
    ),
    "sac": (
        SACConfig,
        SACTrainer,
        [
            "num_envs=2",
            "train_frequency=14",
            "gradient_steps=2",
            "replay.learning_starts=40",
            "replay.batch_size=8",
            "replay.capacity=150",
            "network.hidden_sizes=[8]",
        ],
    ),
}
ALGORITHMS["discrete-sac"] = (DiscreteSACConfig, DiscreteSACTrainer, ALGORITHMS["sac"][2])


class Drifting(gym.Env[np.ndarray, Any]):
    """An environment that nobody has a snapshot for: its state is in a closure.

    Args:
        continuous: whether actions are.
    """

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, continuous: bool = False) -> None:
        self.action_space = (
            gym.spaces.Box(-1.0, 1.0, (1,), np.float32) if continuous else gym.spaces.Discrete(3)
        )
        self._steps: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, Any]:
        super().reset(seed=seed)
        self._steps = self._episode()
        return next(self._steps)[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, Any]:
        observation, over = self._steps.send(float(np.sum(action)))
        return observation, -float(np.abs(observation).sum()), over, False, {}

    def _episode(self) -> Any:
        state, length = self.np_random.normal(size=2), int(self.np_random.integers(5, 30))
        for left in range(length, -1, -1):
            push = yield state.astype(np.float32), left == 0
            state = 0.9 * state + 0.1 * push + 0.1 * self.np_random.normal(size=2)


gym.register("Drifting-v0", Drifting)


class Case(NamedTuple):
    """One way to run and to stop."""

    algorithm: str
    env: str
    backend: str = "torch"
    overrides: tuple[str, ...] = ()
    background: bool = False

    def __str__(self) -> str:
        extras = [*self.overrides, *(["background"] if self.background else [])]
        return "-".join([self.algorithm, self.env, self.backend, *extras])

    def trainer(self, folder: Path, batches: int) -> Any:
        """Build a trainer that logs and saves into a folder."""
        config_type, trainer_type, overrides = ALGORITHMS[self.algorithm]
        config = from_overrides(
            config_type,
            [*overrides, *self.overrides, f"env={self.env}", "seed=3", "progress_bar=false"],
        )
        per_batch = config.num_envs * config.steps_per_env
        # Schedules depend on the budget: every run of a case has the same, and stops by itself.
        config.total_frames = 60 * per_batch
        trainer = trainer_type.from_config(config)
        trainer.logger = CSVLogger(folder / "metrics.csv")
        trainer.metrics = type(trainer.metrics)(trainer.logger, 3 * per_batch)
        trainer.save_trainer_file = folder / ("run.pt" if self.backend == "torch" else "run")
        trainer.save_trainer_interval = 2 * per_batch
        trainer.save_in_background = self.background

        def stop() -> None:
            if trainer.collected_frames >= batches * per_batch:
                trainer.request_stop()

        trainer.register_op("post_steps", stop, name="stop after so many batches")
        return trainer


class Outcome(NamedTuple):
    """Everything that the next instruction of a run depends on, and what it has logged."""

    skeleton: str
    tensors: dict[str, torch.Tensor]
    metrics: dict[str, list[float]]
    transitions: list[dict[str, torch.Tensor]]


def outcome(case: Case, trainer: Any, folder: Path) -> Outcome:
    """Return a run's state, its rows and its next 1,000 transitions; nothing tells the time."""
    state = copy.copy(trainer.state_dict())
    if trainer.collector.exact_resume == "replayed":
        # How an episode began is recorded from whatever object began it: the transitions tell.
        state["collector"] = {**state["collector"], "episodes": None}
    state["metrics"] = {
        **state["metrics"],
        **{part: _timeless(state["metrics"][part]) for part in ("means", "latest")},
    }
    skeleton, tensors = encode(state)
    rows = read_metrics(folder / "metrics.csv")
    return Outcome(
        skeleton,
        {name: tensor.clone() for name, tensor in tensors.items()},
        _timeless(rows),
        _next_transitions(case, folder),
    )


def run(
    case: Case, folder: Path, batches: int, *, resume: bool = False, last: bool = True
) -> Outcome | None:
    """Run a case up to so many batches, from its checkpoint if asked to; look at it if the last."""
    os.environ["CKPT_BACKEND"] = case.backend
    trainer = case.trainer(folder, batches)
    if resume:
        trainer.load_from_file(trainer.save_trainer_file)
    trainer.train()
    return outcome(case, trainer, folder) if last else None


def _next_transitions(case: Case, folder: Path) -> list[dict[str, torch.Tensor]]:
    """Collect what would come next, from the checkpoint at the end of a run."""
    trainer = case.trainer(folder, 0)
    trainer.load_from_file(trainer.save_trainer_file)
    batches, frames = [], 0
    while frames < 1000:
        batch = trainer.collector.collect()
        frames += batch.numel()
        batches.append({str(key): value for key, value in batch.items(True, True)})
    return batches


def differences(one: Outcome, other: Outcome) -> list[str]:
    """Return what differs between two outcomes, to the bit."""
    found = []
    if one.skeleton != other.skeleton:
        at = next(
            (
                i
                for i, (a, b) in enumerate(zip(one.skeleton, other.skeleton, strict=False))
                if a != b
            ),
            0,
        )
        near = slice(max(at - 80, 0), at + 80)
        found.append(f"skeleton: …{one.skeleton[near]}… and …{other.skeleton[near]}…")
    for name in one.tensors.keys() & other.tensors.keys():
        if not _same(one.tensors[name], other.tensors[name]):
            found.append(f"tensor {name}: {one.tensors[name]} and {other.tensors[name]}")
    for index, batches in enumerate(zip(one.transitions, other.transitions, strict=True)):
        for key, value in batches[0].items():
            if not _same(value, batches[1][key]):
                found.append(f"{key} of batch {index} from here on")
    if repr(one.metrics) != repr(other.metrics):
        found.append(f"metrics: {one.metrics} and {other.metrics}")
    return found


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal to the bit, so that NaN equals NaN and 0 is not −0."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    flat = (tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other))
    return torch.equal(*flat)


def _timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if not name.startswith("time/")}
