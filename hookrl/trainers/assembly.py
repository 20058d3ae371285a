"""What assembling a run from a config has in common, whatever the algorithm."""

from __future__ import annotations

from typing import Any

import torch

from hookrl.collectors import ObservationNormalizer, VectorCollector
from hookrl.configs import ReplayConfig, RunConfig, to_plain
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import (
    FlushDenormals,
    LearningCurve,
    LogValidationReward,
    SaveWeights,
    TorchThreads,
)
from hookrl.loggers import RunDirectory
from hookrl.replay import PrioritizedSampler, ReplayBuffer
from hookrl.trainers.trainer import Trainer


def begin_run(config: RunConfig, algorithm: str) -> RunDirectory | None:
    """Make the run directory, if the config names one.

    Raises:
        ExistingFile: if it is in use.
    """
    if config.run_dir is None:
        return None
    return RunDirectory.create(
        config.run_dir, to_plain(config), algorithm=algorithm, overwrite=config.overwrite
    )


def check_config(config: RunConfig, expected: type[RunConfig]) -> None:
    """Check that a config is of the right kind, and that its device is there.

    Raises:
        InvalidType: if it is something else.
        InvalidValue: if torch does not know the device, or this machine has none.
    """
    if not isinstance(config, expected):
        raise InvalidType(f"config is a {type(config).__name__}: expected a {expected.__name__}.")
    try:
        torch.empty(0, device=config.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].split(" device type at start")[0].rstrip(".")
        raise InvalidValue(
            f"device={config.device!r} cannot be used: expected one that torch has here, such as "
            f"'cpu' (torch says: {reason})."
        ) from error


def make_collector(
    config: RunConfig,
    env: Any,
    policy: Any,
    normalizer: ObservationNormalizer | None,
    *,
    steps_per_env: int,
    init_random_frames: int = 0,
) -> VectorCollector:
    """Collect batches of so many steps of each environment, on the config's device."""
    return VectorCollector(
        env,
        policy,
        frames_per_batch=env.num_envs * steps_per_env,
        transform=normalizer,
        init_random_frames=init_random_frames,
        device=None if config.device == "cpu" else config.device,
    )


def make_replay_buffer(config: ReplayConfig, gamma: float) -> ReplayBuffer:
    """Build the replay buffer of an off-policy run."""
    return ReplayBuffer(
        config.capacity,
        batch_size=config.batch_size,
        gamma=gamma,
        n_step=config.n_step,
        sampler=PrioritizedSampler(config.alpha, config.beta) if config.prioritized else None,
    )


def trainer_options(config: RunConfig, run: RunDirectory | None) -> dict[str, Any]:
    """Return the arguments of `Trainer` that come straight from the config."""
    return {
        "total_frames": config.total_frames,
        "frame_skip": config.frame_skip,
        "logger": None if run is None else run.logger(),
        "log_interval": config.log_interval,
        "progress_bar": config.progress_bar,
        "seed": config.seed,
    }


def register_run_hooks(
    trainer: Trainer,
    config: RunConfig,
    run: RunDirectory | None,
    policy: Any,
    normalizer: ObservationNormalizer | None,
) -> None:
    """Register what a run does around learning: threads, evaluation, and its files."""
    if config.torch_threads is not None:
        TorchThreads(config.torch_threads).register(trainer)
    FlushDenormals().register(trainer)
    if config.evaluation.interval:
        LogValidationReward(
            policy_exploration=policy,
            environment=config.env,
            env_kwargs=config.env_kwargs,
            record_interval=config.evaluation.interval,
            episodes=config.evaluation.episodes,
            num_envs=config.evaluation.num_envs,
            view=None if normalizer is None else normalizer.frozen,
        ).register(trainer)
    if run is None:
        return
    if trainer.logger is not None:
        trainer.logger.log_config(to_plain(config))
    parts: dict[str, Any] = {"policy": policy}
    if normalizer is not None:
        parts["observation_normalizer"] = normalizer
    SaveWeights(run.weights_file, parts).register(trainer)
    title = f"{run.algorithm.upper()} on {config.env}"
    LearningCurve(run.metrics_file, run.learning_curve_file, title).register(trainer)
