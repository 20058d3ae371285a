"""What is compared in one row of the table: the same settings in hookrl's words and in SB3's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hookrl.configs import RunConfig, to_plain

HOOKRL = "hookrl"
SB3 = "stable-baselines3"

WITHOUT_EFFECT = ("seed", "run_dir", "overwrite", "progress_bar", "log_interval", "evaluation")
"""Fields of the config that a run's result is not a function of; seeds are listed by themselves."""


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


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The same training in hookrl's words and in Stable-Baselines3's."""

    name: str
    """Of the script and of the file of results."""
    title: str
    """What it is, in a few words."""
    hookrl: RunConfig
    """hookrl's settings; the seed in it is not used."""
    sb3: SB3Settings
    """Stable-Baselines3's."""
    notes: tuple[str, ...] = field(default=())
    """Where the two sides, or these settings and the published ones, differ."""

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return everything that the results of each side are a function of, seeds aside."""
        config = {k: v for k, v in to_plain(self.hookrl).items() if k not in WITHOUT_EFFECT}
        normalize = self.sb3.vec_normalize
        sb3 = {
            "env": self.hookrl.env,
            "env_kwargs": dict(self.hookrl.env_kwargs),
            "total_timesteps": self.hookrl.total_frames,
            "n_envs": self.sb3.n_envs,
            self.sb3.algorithm.lower(): dict(self.sb3.arguments),
            "vec_normalize": None if normalize is None else dict(normalize),
        }
        return {HOOKRL: config, SB3: sb3}


@dataclass(frozen=True, kw_only=True)
class Row(Comparison):
    """One row of the table of returns: a comparison, and what it is measured against."""

    target: float
    """hookrl's interquartile mean is to be at least this."""
    published: str
    """A published figure, with its protocol: comparable in kind only."""

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
