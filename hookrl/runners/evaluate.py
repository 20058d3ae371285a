"""Evaluates what a finished run has learned."""

from __future__ import annotations

from pathlib import Path

from hookrl.collectors import EpisodeResults, evaluation_seeds, run_episodes
from hookrl.configs import PPOConfig, from_plain
from hookrl.envs import make_vector_env
from hookrl.loggers import RunDirectory
from hookrl.trainers.ppo import build_policy

_SIDE_BY_SIDE = 20
"""Environments at a time: enough to share a policy call, few enough for heavy simulators."""


def evaluate_run(path: str | Path, *, episodes: int = 100, seed: int = 0) -> EpisodeResults:
    """Play deterministic episodes with the final weights of a run.

    Args:
        path: the run's directory.
        episodes: how many.
        seed: chooses the initial states; the same for every policy evaluated with it.

    Returns:
        Returns and lengths, episode by episode.

    Raises:
        MissingFile: if there is no such run, or it has no weights yet.
        InvalidValue: if the directory is not that of a run.
    """
    run = RunDirectory.open(path)
    config = from_plain(PPOConfig, run.config)
    weights = run.load_weights()
    env = make_vector_env(config.env, min(_SIDE_BY_SIDE, episodes), config.env_kwargs)
    try:
        policy, normalizer = build_policy(
            config, env.single_observation_space, env.single_action_space
        )
        policy.load_state_dict(weights["policy"])
        if normalizer is not None:
            normalizer.load_state_dict(weights["observation_normalizer"])
        view = None if normalizer is None else normalizer.frozen
        return run_episodes(policy.actor(), env, evaluation_seeds(episodes, seed), view=view)
    finally:
        env.close()
