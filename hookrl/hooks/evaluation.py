"""Evaluates the policy on environments of its own while it is being trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hookrl.collectors.actors import as_actor
from hookrl.collectors.episodes import evaluation_seeds, run_episodes
from hookrl.envs.vector import EnvLike, make_vector_env
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.state import integer_seed


class LogValidationReward(TrainerHookBase):
    """Plays deterministic episodes on separate environments and logs ``eval/…``.

    The episodes start from the same initial states every time, so that two evaluations differ by
    the policy alone; their seeds come from a branch of the seed tree that training never uses.

    Args:
        policy_exploration: the policy, see `hookrl.collectors.actors.as_actor`; it acts without
            exploring.
        environment: an environment id, function, or list of functions; never the training one.
        record_interval: frames between evaluations.
        episodes: episodes in each.
        num_envs: how many play side by side.
        env_kwargs: arguments for an environment made from its id.
        view: what the policy sees of an observation, such as a normaliser's ``frozen``.
        log_pbar: show the mean return on the progress bar.

    Raises:
        InvalidValue: for an interval or number of episodes below 1.
        InvalidType: for a ready vector environment, whose seeds could not be set one by one.
    """

    state_fields = ("_seed",)

    def __init__(
        self,
        *,
        policy_exploration: Any,
        environment: EnvLike,
        record_interval: int,
        episodes: int = 10,
        num_envs: int = 10,
        env_kwargs: dict[str, Any] | None = None,
        view: Callable[[Any], Any] | None = None,
        log_pbar: bool = False,
    ) -> None:
        if record_interval < 1 or episodes < 1:
            raise InvalidValue(
                f"LogValidationReward(record_interval={record_interval}, episodes={episodes}): "
                "expected at least 1 each."
            )
        if hasattr(environment, "num_envs"):
            raise InvalidType(
                "environment of LogValidationReward is a ready vector environment: expected an id "
                "or functions, so that each episode can be seeded."
            )
        self._env = make_vector_env(environment, min(num_envs, episodes), env_kwargs)
        self._actor = as_actor(policy_exploration, self._env.single_action_space)
        self._view = view
        self.record_interval = record_interval
        self.episodes = episodes
        self.log_pbar = log_pbar
        self.set_seed(np.random.SeedSequence())

    def set_seed(self, seed_sequence: np.random.SeedSequence) -> None:
        """Choose the initial states of all evaluations."""
        self._seed = integer_seed(seed_sequence)

    def register(self, trainer: TrainerLike, name: str = "validation") -> None:
        """Hang the hook on ``post_steps_log``, every `record_interval` frames."""
        trainer.register_op("post_steps_log", self, name=name, every_frames=self.record_interval)
        trainer.register_module(name, self)

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Play the episodes."""
        self._actor.refresh()
        seeds = evaluation_seeds(self.episodes, self._seed)
        results = run_episodes(self._actor, self._env, seeds, view=self._view)
        return {
            "eval/mean_reward": results.mean,
            "eval/std_reward": results.std,
            "eval/mean_length": float(results.lengths.mean()),
            "log_pbar": self.log_pbar,
        }

    def teardown(self, trainer: TrainerLike) -> None:
        """Close the environments."""
        self._env.close()
