"""Evaluates what a finished run has learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hookrl.collectors import EpisodeResults, evaluation_seeds, run_episodes
from hookrl.configs import DiscreteSACConfig, DQNConfig, PPOConfig, SACConfig, from_plain
from hookrl.envs import make_vector_env
from hookrl.errors import InvalidValue, did_you_mean
from hookrl.loggers import RunDirectory
from hookrl.trainers import discrete_sac, dqn, ppo, sac

_SIDE_BY_SIDE = 20
"""Environments at a time: enough to share a policy call, few enough for heavy simulators."""


class Acts(NamedTuple):
    """What evaluation has to know of an algorithm."""

    config: type[Any]
    build_policy: Callable[..., tuple[Any, Any]]
    """From config, observation space and action space to a policy and a normaliser or None."""


ALGORITHMS = {
    "discrete-sac": Acts(DiscreteSACConfig, discrete_sac.build_policy),
    "dqn": Acts(DQNConfig, dqn.build_policy),
    "ppo": Acts(PPOConfig, ppo.build_policy),
    "sac": Acts(SACConfig, sac.build_policy),
}


def evaluate_run(path: str | Path, *, episodes: int = 100, seed: int = 0) -> EpisodeResults:
    """Play deterministic episodes with the final weights of a run, on the CPU.

    Args:
        path: the run's directory.
        episodes: how many.
        seed: chooses the initial states; the same for every policy evaluated with it.

    Returns:
        Returns and lengths, episode by episode.

    Raises:
        MissingFile: if there is no such run, or it has no weights yet.
        InvalidValue: if the directory is not that of a run, or of an algorithm that is not known.
    """
    if episodes < 1:
        raise InvalidValue(f"episodes={episodes} for an evaluation: expected at least 1.")
    run = RunDirectory.open(path)
    if run.algorithm not in ALGORITHMS:
        raise InvalidValue(
            f"{run.path} is a run of {run.algorithm!r}{did_you_mean(run.algorithm, ALGORITHMS)}: "
            f"expected one of {', '.join(ALGORITHMS)}."
        )
    acts = ALGORITHMS[run.algorithm]
    config = dataclasses.replace(from_plain(acts.config, run.config), device="cpu")
    weights = run.load_weights()
    env = make_vector_env(config.env, min(_SIDE_BY_SIDE, episodes), config.env_kwargs)
    try:
        policy, normalizer = acts.build_policy(
            config, env.single_observation_space, env.single_action_space
        )
        policy.load_state_dict(weights["policy"])
        if normalizer is not None:
            normalizer.load_state_dict(weights["observation_normalizer"])
        view = None if normalizer is None else normalizer.frozen
        return run_episodes(policy.actor(), env, evaluation_seeds(episodes, seed), view=view)
    finally:
        env.close()
