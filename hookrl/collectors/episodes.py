"""Whole episodes from fixed seeds, for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from hookrl.envs.spaces import action_fitter, leaves, own_copy
from hookrl.errors import InvalidValue
from hookrl.state import Seeds


@dataclass(frozen=True, slots=True)
class EpisodeResults:
    """What a set of evaluation episodes gave, in the order of their seeds."""

    returns: np.ndarray
    """Undiscounted sums of rewards, float64 ``[episodes]``."""
    lengths: np.ndarray
    """Steps, int64 ``[episodes]``."""

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns over the episodes."""
        return float(self.returns.std())

    @property
    def interquartile_mean(self) -> float:
        """Mean of the middle half of the returns (Agarwal et al., 2021)."""
        ordered = np.sort(self.returns)
        cut = len(ordered) // 4
        return float(ordered[cut : len(ordered) - cut].mean())


def evaluation_seeds(episodes: int, seed: int = 0) -> list[int]:
    """Return the seeds of `episodes` evaluation episodes, the same ones for every policy.

    They come from a branch of the seed tree of their own, so no training run shares them.
    """
    words = Seeds(seed).sequence("evaluation").generate_state(episodes)
    return [int(word >> 1) for word in words]


def run_episodes(
    act: Callable[[Any], Any],
    env: VectorEnv[Any, Any, Any],
    seeds: Sequence[int],
    *,
    view: Callable[[Any], Any] | None = None,
) -> EpisodeResults:
    """Play one episode for each of `seeds`.

    Each episode starts from an environment reset with its own seed, so the same seeds give the same
    initial states whatever the policy does and however many environments play side by side.

    Args:
        act: from a vector observation to actions.
        env: made by `hookrl.envs.make_vector_env`; as many episodes at a time as it has copies.
        seeds: one for each episode.
        view: what the policy sees of an observation; by default a float32 copy.

    Raises:
        InvalidValue: if there are no seeds, or the environments reset by themselves.
    """
    if not len(seeds):
        raise InvalidValue("an evaluation of 0 episodes: expected at least one seed.")
    if env.metadata.get("autoreset_mode") is not AutoresetMode.DISABLED:
        raise InvalidValue(
            f"{env} resets by itself, so its episodes cannot be seeded one by one: expected "
            "autoreset mode DISABLED, as `make_vector_env` gives."
        )
    observation_leaves = leaves(env.single_observation_space, "observation")
    see = view or (lambda raw: own_copy(raw, observation_leaves))
    fit = action_fitter(leaves(env.single_action_space, "action"))
    returns, lengths = [], []
    for start in range(0, len(seeds), env.num_envs):
        chunk: Any = [int(seed) for seed in seeds[start : start + env.num_envs]]
        spare = env.num_envs - len(chunk)
        raw, _ = env.reset(seed=chunk + chunk[:1] * spare)
        total = np.zeros(env.num_envs)
        length = np.zeros(env.num_envs, dtype=np.int64)
        playing = np.arange(env.num_envs) < len(chunk)
        while playing.any():
            raw, reward, terminated, truncated, _ = env.step(fit(act(see(raw))))
            total[playing] += reward[playing]
            length += playing
            done = terminated | truncated
            playing &= ~done
            if done.any() and playing.any():
                raw, _ = env.reset(options={"reset_mask": done})
        returns.append(total[: len(chunk)])
        lengths.append(length[: len(chunk)])
    return EpisodeResults(np.concatenate(returns), np.concatenate(lengths))
