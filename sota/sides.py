"""Training with hookrl and with Stable-Baselines3, and the same evaluation for both."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch

from hookrl.collectors import EpisodeResults, evaluation_seeds, run_episodes
from hookrl.configs import DQNConfig, PPOConfig, RunConfig, SACConfig
from hookrl.envs import make_vector_env
from hookrl.hooks import TrainerHookBase
from hookrl.trainers import DQNTrainer, PPOTrainer, SACTrainer
from sota.row import FAST, HOOKRL, Row, SB3Settings, Variant, fast

_SIDE_BY_SIDE = 20
"""Evaluation environments at a time; it changes nothing but the speed."""

_TRAINERS: dict[type[RunConfig], Any] = {
    DQNConfig: DQNTrainer,
    PPOConfig: PPOTrainer,
    SACConfig: SACTrainer,
}


@dataclass(frozen=True)
class Trained:
    """A policy with its last weights, and what making it took."""

    act: Callable[[Any], Any]
    """From a vector observation to deterministic actions."""
    view: Callable[[Any], Any] | None
    """What the policy sees of an observation, by frozen statistics; None: the observation."""
    frames: int
    """Frames that it was trained for."""
    seconds: float
    """Wall time of the training alone."""
    cpu_seconds: float
    """Processor time of it, all threads: less disturbed by what else the machine does."""


def make_trainer(config: RunConfig) -> Any:
    """Build the trainer that a config is for."""
    return _TRAINERS[type(config)].from_config(config)


def last_policy(trainer: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any] | None]:
    """Return how a trainer's policy acts without noise, and what it sees of an observation."""
    collector = trainer.collector
    # Of tensor environments there is a network alone, which acts on anything.
    actor = getattr(collector, "actor", None) or collector.policy.actor()
    actor.refresh()
    normalizer = getattr(collector, "transform", None)
    return actor, None if normalizer is None else normalizer.frozen


def check_captured(trainer: Any) -> None:
    """Raise RuntimeError if steps were to be captured and were not: no figure gets a wrong name."""
    refused = getattr(trainer.step, "refused", None)
    if refused is not None:
        raise RuntimeError(f"captured steps were asked for, but steps were eager: {refused}")


def train_hookrl(settings: RunConfig, seed: int, *further: TrainerHookBase) -> Trained:
    """Train with hookrl and perhaps further hooks, one torch thread, nothing written."""
    torch.set_num_threads(1)
    config = dataclasses.replace(
        settings, seed=seed, progress_bar=False, run_dir=None, torch_threads=1
    )
    trainer = make_trainer(config)
    for hook in further:
        register: Any = hook.register  # by its default name
        register(trainer)
    seconds, cpu_seconds = _timed(trainer.train)
    check_captured(trainer)
    act, view = last_policy(trainer)
    return Trained(
        act=act,
        view=view,
        frames=trainer.collected_frames,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


def train_sb3(config: RunConfig, peer: SB3Settings, seed: int) -> Trained:
    """Train with Stable-Baselines3, one torch thread, nothing written.

    Args:
        config: environment and frames.
        peer: everything else.
        seed: the training seed.
    """
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize

    torch.set_num_threads(1)
    # Without gymnasium's passive checker, as hookrl makes its environments.
    env_kwargs = {"disable_env_checker": True, **config.env_kwargs}
    env: VecEnv = make_vec_env(config.env, peer.n_envs, env_kwargs=env_kwargs)
    normalizer = None
    if peer.vec_normalize is not None:
        env = normalizer = VecNormalize(env, **peer.vec_normalize)
    settings = {name: _scheduled(value) for name, value in peer.arguments.items()}
    model = getattr(stable_baselines3, peer.algorithm)(
        env=env, seed=seed, device="cpu", verbose=0, **settings
    )
    # Its module calls the loss as F.smooth_l1_loss: the only place where it can be replaced.
    squared = mock.patch("torch.nn.functional.smooth_l1_loss", torch.nn.functional.mse_loss)
    with squared if peer.squared_error else nullcontext():
        seconds, cpu_seconds = _timed(lambda: model.learn(config.total_frames))
    env.close()
    return Trained(
        act=lambda observation: model.predict(observation, deterministic=True)[0],
        # Outside of training VecNormalize applies its statistics without updating them.
        view=None if normalizer is None else lambda raw: normalizer.normalize_obs(np.array(raw)),
        frames=model.num_timesteps,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


def train(row: Row, side: str, seed: int) -> Trained:
    """Train one side of a row with a seed."""
    if side == HOOKRL:
        return train_hookrl(row.hookrl, seed)
    if side == FAST:
        return train_hookrl(fast(row.hookrl), seed)
    if isinstance(row.peer, Variant):
        return train_hookrl(row.peer.config, seed)
    return train_sb3(row.hookrl, row.peer, seed)


def evaluate(
    trained: Trained, config: RunConfig, *, episodes: int = 100, seed: int = 0
) -> EpisodeResults:
    """Play deterministic episodes from initial states that are the same for every policy."""
    env = make_vector_env(config.env, min(_SIDE_BY_SIDE, episodes), config.env_kwargs)
    try:
        return run_episodes(trained.act, env, evaluation_seeds(episodes, seed), view=trained.view)
    finally:
        env.close()


def _timed(train: Callable[[], Any]) -> tuple[float, float]:
    """Return the wall time and the processor time of a training."""
    wall, cpu = time.perf_counter(), time.process_time()
    train()
    return time.perf_counter() - wall, time.process_time() - cpu


def _scheduled(value: Any) -> Any:
    """Turn ``"lin_0.001"`` into the schedule it stands for, and leave anything else alone."""
    if not isinstance(value, str) or not value.startswith("lin_"):
        return value
    start = float(value.removeprefix("lin_"))
    # The last batch may go beyond the budget, where less than nothing remains.
    return lambda remaining: start * max(remaining, 0.0)
