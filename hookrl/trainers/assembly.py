"""What assembling a run from a config has in common, whatever the algorithm."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import torch
from gymnasium.vector import VectorEnv

from hookrl.checkpoints import CheckpointStore
from hookrl.collectors import (
    Collector,
    ObservationNormalizer,
    OverlappedCollector,
    TensorCollector,
    VectorCollector,
)
from hookrl.configs import OffPolicyConfig, ReplayConfig, RunConfig, to_plain
from hookrl.envs import make_vector_env
from hookrl.envs.tensor import TensorEnv
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import (
    FlushDenormals,
    KeepFreedMemory,
    LearningCurve,
    LogValidationReward,
    MatmulPrecision,
    SaveWeights,
    TorchThreads,
)
from hookrl.loggers import RunDirectory
from hookrl.replay import PrioritizedSampler, ReplayBuffer
from hookrl.state import Seeds
from hookrl.trainers.captured import captures
from hookrl.trainers.trainer import Trainer


def begin_run(config: RunConfig, algorithm: str, *, resume: bool = False) -> RunDirectory | None:
    """Make the run directory, if the config names one, or open it to go on there.

    Raises:
        ExistingFile: if it is in use.
        MissingFile: if there is nothing to go on with.
    """
    if config.run_dir is None:
        return None
    if resume:
        return RunDirectory.open(config.run_dir)
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


def make_environments(
    config: RunConfig,
    actions: type[gym.Space[Any]] | None = None,
    *,
    trainer: str = "",
    otherwise: str = "",
) -> VectorEnv[Any, Any, Any]:
    """Make the environments of a run.

    Args:
        config: names them.
        actions: the kind of space that actions must come from; None: any.
        trainer: name of the class that they are for.
        otherwise: which class to use for other actions, the end of the error's sentence.

    Raises:
        InvalidValue: for an unknown environment.
        InvalidType: for actions of another kind.
    """
    env = make_vector_env(
        config.env,
        config.num_envs,
        config.env_kwargs,
        vectorization_mode=config.vectorization_mode,
        device=config.device,
    )
    if actions is not None and not isinstance(env.single_action_space, actions):
        env.close()
        raise InvalidType(
            f"{trainer} expects {actions.__name__} actions, but those of env={config.env!r} are "
            f"{env.single_action_space}: {otherwise}."
        )
    return env


def network_options(config: OffPolicyConfig, name: str) -> dict[str, Any]:
    """Return the arguments of ``from_spaces`` for a network: its shape, and draws by its name."""
    return {
        "hidden_sizes": config.network.hidden_sizes,
        "activation": config.network.activation,
        "generator": Seeds(config.seed).torch(name),
    }


def make_normalizer(
    config: RunConfig, observation_space: gym.Space[Any]
) -> ObservationNormalizer | None:
    """Make what normalises observations, if the config asks for it."""
    return ObservationNormalizer(observation_space) if config.normalize_observation else None


def make_collector(
    config: RunConfig,
    env: Any,
    policy: Any,
    normalizer: ObservationNormalizer | None,
    *,
    steps_per_env: int,
    init_random_frames: int = 0,
) -> Collector:
    """Collect batches of so many steps of each environment, on the config's device."""
    frames_per_batch = env.num_envs * steps_per_env
    if isinstance(env, TensorEnv) and not init_random_frames:  # which are not for its graph
        compile = captures(config.compile, config.total_frames, frames_per_batch, steps_per_env)
        return TensorCollector(env, policy, frames_per_batch=frames_per_batch, compile=compile)
    collector = VectorCollector(
        env,
        policy,
        frames_per_batch=frames_per_batch,
        transform=normalizer,
        init_random_frames=init_random_frames,
        device=None if config.device == "cpu" else config.device,
        exact_resume=cast(Any, config.checkpoint.exact_resume),  # which has checked it
    )
    return OverlappedCollector(collector) if config.overlap_collection else collector


def make_replay_buffer(
    config: ReplayConfig, gamma: float, device: torch.device | str = "cpu"
) -> ReplayBuffer:
    """Build the replay buffer of an off-policy run, on the device of the networks.

    It is told the device: one that a checkpoint fills has seen no batch to take it from.
    """
    return ReplayBuffer(
        config.capacity,
        batch_size=config.batch_size,
        gamma=gamma,
        n_step=config.n_step,
        sampler=PrioritizedSampler(config.alpha, config.beta) if config.prioritized else None,
        device=device,
    )


def make_store(config: RunConfig, run: RunDirectory) -> CheckpointStore:
    """Build the store of a run's checkpoints; whose run it is, the run directory has decided."""
    saving = config.checkpoint
    return CheckpointStore(
        run.checkpoints,
        max_checkpoints=saving.max_checkpoints,
        keep_period=saving.keep_period,
        keep_best=saving.keep_best,
        backend=saving.backend,
        resume=True,
    )


def trainer_options(config: RunConfig, run: RunDirectory | None) -> dict[str, Any]:
    """Return the arguments of `Trainer` that come straight from the config."""
    saving = config.checkpoint
    return {
        "checkpoints": None if run is None else make_store(config, run),
        "save_trainer_interval": saving.interval,
        "save_in_background": saving.background,
        "exact_resume": saving.exact_resume,
        "total_frames": config.total_frames,
        "frame_skip": config.frame_skip,
        "logger": None if run is None else run.logger(),
        "log_interval": config.log_interval,
        "progress_bar": config.progress_bar,
        "compile": config.compile,
        "seed": config.seed,
    }


def off_policy_options(
    config: OffPolicyConfig,
    run: RunDirectory | None,
    env: VectorEnv[Any, Any, Any],
    policy: Any,
    normalizer: ObservationNormalizer | None,
    *,
    init_random_frames: int = 0,
) -> dict[str, Any]:
    """Return the arguments that every off-policy trainer takes from its config."""
    return {
        "collector": make_collector(
            config,
            env,
            policy,
            normalizer,
            steps_per_env=config.steps_per_env,
            init_random_frames=init_random_frames,
        ),
        "replay_buffer": make_replay_buffer(config.replay, config.gamma, config.device),
        "gradient_steps": config.gradient_steps,
        "learning_starts": config.replay.learning_starts,
        "save_replay": config.replay.save_contents,
        "tau": config.tau,
        "clip_norm": config.max_grad_norm,
        **trainer_options(config, run),
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
    if config.matmul_precision != "highest":
        MatmulPrecision(cast(Any, config.matmul_precision)).register(trainer)
    if config.keep_freed_memory:
        KeepFreedMemory().register(trainer)
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
    trainer.config = to_plain(config)
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
