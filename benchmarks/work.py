"""What is measured: a training, and everybody who is to do it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.clock import Clock
from hookrl.configs import RunConfig


class Policy(NamedTuple):
    """What came out of a training, with its last weights."""

    act: Callable[[Any], Any]
    """From a vector observation to deterministic actions."""
    view: Callable[[Any], Any] | None = None
    """What the policy sees of an observation, by frozen statistics; None: the observation."""


Train = Callable[[Any, Clock], Policy]
"""Builds everything, and trains between `Clock.start` and `Clock.stop` with the config's settings:
its seed, its frames, its threads, nothing written."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """Somebody who can do a work."""

    name: str
    """How tables call this side."""
    module: str
    """Where its function ``train`` is, a `Train`; imported in the process of a run alone."""
    packages: tuple[str, ...]
    """What must be installed, by the names of the package index; versions are kept with results."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the work's config that are others on this side."""
    ours: bool = False
    """Whether this is hookrl."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A training that all sides do with the same settings."""

    name: str
    """Of the work on the command line, and of the file of its results."""
    title: str
    """What it is, in a few words."""
    config: RunConfig
    """The settings, which every side translates into its own."""
    sides: tuple[Side, ...]
    """In the order in which they take turns."""
    warm_up: int
    """Frames of a short training before the one that is timed: enough to learn from some."""
    threads: int = 1
    """Of torch; the process has as many processors."""
    notes: tuple[str, ...] = ()
    """Where sides differ although the settings are the same."""

    def config_of(self, side: Side, *, frames: int, seed: int = 0) -> RunConfig:
        """Return the settings with which a side trains."""
        return dataclasses.replace(
            self.config,
            **side.changes,
            total_frames=frames,
            seed=seed,
            torch_threads=self.threads,
            progress_bar=False,
            run_dir=None,
        )

    def side(self, name: str) -> Side:
        """Return the side of that name."""
        return next(side for side in self.sides if side.name == name)


def with_threads(work: Work, threads: int) -> Work:
    """Return the same work with more threads, under a name that says so."""
    return dataclasses.replace(
        work,
        name=f"{work.name}_{threads}_threads",
        title=f"{work.title}; {threads} threads",
        threads=threads,
    )
