"""What one row of the table compares: hookrl, as it is and with every fast path on, and a peer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium

from hookrl.configs import RunConfig, to_plain

HOOKRL = "hookrl"
FAST = "hookrl-fast"
"""The same training with every fast path on."""
SB3 = "stable-baselines3"

_WITHOUT_EFFECT = (
    "seed",
    "run_dir",
    "overwrite",
    "progress_bar",
    "log_interval",
    "evaluation",
    "checkpoint",
)
"""Fields of the config that a run's result is not a function of; seeds are listed by themselves."""


def effective(config: RunConfig) -> dict[str, Any]:
    """Return the settings of a config that a run's result is a function of, seed aside."""
    return {k: v for k, v in to_plain(config).items() if k not in _WITHOUT_EFFECT}


def fast(config: RunConfig) -> RunConfig:
    """Return the same training with captured steps and, where there is one, a vectorised form."""
    vectorised = config.num_envs > 1 and gymnasium.spec(config.env).vector_entry_point is not None
    mode = "vector_entry_point" if vectorised else config.vectorization_mode
    return dataclasses.replace(config, compile=True, vectorization_mode=mode)


@dataclass(frozen=True, kw_only=True)
class SB3Settings:
    """How Stable-Baselines3 is to train; environment and frames are those of the hookrl config.

    Plain values only, since they are stored beside the results. As in RL Zoo, a text like
    ``"lin_0.001"`` stands for a value that falls linearly to 0.
    """

    n_envs: int
    """Environments in its DummyVecEnv."""
    arguments: Mapping[str, Any]
    """Keyword arguments of the algorithm's class."""
    algorithm: str = "PPO"
    """Name of the class in ``stable_baselines3``."""
    vec_normalize: Mapping[str, Any] | None = None
    """Keyword arguments of ``VecNormalize``; None: it is not used."""
    squared_error: bool = False
    """Whether DQN's Huber loss, for which there is no setting, is replaced by the squared error."""

    @property
    def name(self) -> str:
        """How the table calls this side."""
        return SB3

    def settings(self, config: RunConfig) -> dict[str, Any]:
        """Return everything that the results of this side are a function of, seeds aside."""
        settings = {
            "env": config.env,
            "env_kwargs": dict(config.env_kwargs),
            "total_timesteps": config.total_frames,
            "n_envs": self.n_envs,
            self.algorithm.lower(): dict(self.arguments),
            "vec_normalize": None if self.vec_normalize is None else dict(self.vec_normalize),
        }
        return {**settings, "loss": "squared error"} if self.squared_error else settings


@dataclass(frozen=True, kw_only=True)
class Variant:
    """hookrl a second time, with other settings."""

    name: str
    """What is different, as the table calls this side."""
    config: RunConfig
    """All its settings; environment, frames and evaluation are those of the first."""

    def settings(self, config: RunConfig) -> dict[str, Any]:
        """Return everything that the results of this side are a function of, seeds aside."""
        return effective(self.config)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table of returns: what is compared, and what it is measured against."""

    name: str
    """Of the script and of the file of results."""
    title: str
    """What it is, in a few words."""
    hookrl: RunConfig
    """hookrl's settings; the seed in it is not used."""
    peer: SB3Settings | Variant
    """The other side's."""
    target: float | None
    """hookrl's interquartile mean is to be at least this; None: not worse than the peer's."""
    published: str
    """A published figure, with its protocol: comparable in kind only."""
    notes: tuple[str, ...] = field(default=())
    """Where the two sides, or these settings and the published ones, differ."""

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return everything that the results of each side are a function of, seeds aside."""
        return {
            HOOKRL: effective(self.hookrl),
            FAST: effective(fast(self.hookrl)),
            self.peer.name: self.peer.settings(self.hookrl),
        }

    def about(self) -> dict[str, Any]:
        """Return what the report says of the row beside its numbers."""
        return {
            "title": self.title,
            "env": self.hookrl.env,
            "frames": self.hookrl.total_frames,
            "target": self.target,
            "published": self.published,
            "notes": list(self.notes),
        }
