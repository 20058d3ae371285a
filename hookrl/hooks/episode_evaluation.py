"""Evaluation on gymnasium's environments: whole episodes, each from a seed of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from tensordict.nn import InteractionType

from hookrl.collectors.actors import as_actor
from hookrl.collectors.episodes import evaluation_seeds, run_episodes
from hookrl.envs.vector import EnvLike, make_vector_env
from hookrl.errors import InvalidType, InvalidValue
from hookrl.state import Seeds, generators_state, load_generators_state

EXPLORATION = (InteractionType.DETERMINISTIC, InteractionType.RANDOM)


class EpisodeEvaluation:
    """Plays episodes and reports ``eval/mean_reward``, ``eval/std_reward``, ``eval/mean_length``.

    Args:
        environment: an environment id, function, or list of functions.
        policy: see `hookrl.collectors.actors.as_actor`.
        exploration_type: DETERMINISTIC or RANDOM; random actions are the same every time.
        episodes: how many.
        num_envs: how many play side by side.
        env_kwargs: arguments for an environment made from its id.
        view: what the policy sees of an observation.

    Raises:
        InvalidValue: for less than 1 episode, or another way to act.
        InvalidType: for a ready vector environment, whose seeds could not be set one by one.
    """

    def __init__(
        self,
        environment: EnvLike,
        policy: Any,
        *,
        exploration_type: InteractionType,
        episodes: int,
        num_envs: int,
        env_kwargs: dict[str, Any] | None,
        view: Callable[[Any], Any] | None,
    ) -> None:
        if episodes < 1:
            raise InvalidValue(f"episodes={episodes} of LogValidationReward: expected at least 1.")
        if exploration_type not in EXPLORATION:
            raise InvalidValue(
                f"exploration_type={exploration_type} of LogValidationReward: expected "
                f"{' or '.join(map(str, EXPLORATION))} on environments of gymnasium."
            )
        if hasattr(environment, "num_envs"):
            raise InvalidType(
                "environment of LogValidationReward is a ready vector environment: expected an id "
                "or functions, so that each episode can be seeded."
            )
        self.env = make_vector_env(environment, min(num_envs, episodes), env_kwargs)
        self._actor = as_actor(policy, self.env.single_action_space)
        self._random = exploration_type is InteractionType.RANDOM
        self.episodes = episodes
        self._view = view

    def __call__(self, seed: int) -> dict[str, Any]:
        """Play the episodes, and report."""
        self._actor.refresh()
        seeds = evaluation_seeds(self.episodes, seed)
        if not self._random:
            results = run_episodes(self._actor, self.env, seeds, view=self._view)
        else:
            generators = generators_state()  # foreign policies draw from those of the process
            torch.manual_seed(seed)
            try:
                act = self._exploring(Seeds(seed).numpy("exploration"))
                results = run_episodes(act, self.env, seeds, view=self._view)
            finally:
                load_generators_state(generators)
        return {
            "eval/mean_reward": results.mean,
            "eval/std_reward": results.std,
            "eval/mean_length": float(results.lengths.mean()),
        }

    def close(self) -> None:
        """Close the environments."""
        self.env.close()

    def state_dict(self) -> dict[str, Any]:
        """Nothing: every evaluation begins anew."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Nothing to restore."""

    def _exploring(self, rng: np.random.Generator) -> Callable[[Any], Any]:
        one_step = (1, self.env.num_envs)
        return lambda seen: self._actor(seen, self._actor.draw_noise(rng, one_step)[0])
