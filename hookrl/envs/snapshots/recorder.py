"""The fallback for environments whose state cannot be stored: play the episode's actions again.

Box2D bodies, simulators behind a C interface and environments that nobody described are brought
back by doing again what was done: the generators as they were before the last reset, that reset,
and the actions since. A `Recorder` notes these, at about a microsecond per step.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import gymnasium as gym
import numpy as np

from hookrl.envs.snapshots.family import Exact, Family, Replayed
from hookrl.envs.snapshots.openings import read_opening, set_opening
from hookrl.envs.snapshots.values import Unpackable, pack, same, unpack
from hookrl.errors import InvalidValue


class ReplayDiffers(InvalidValue):
    """A replayed episode did not lead to where the recorded one stood."""


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Records what is needed to play the current episode again.

    The record grows with the episode: environments whose episodes never end need a family.

    Args:
        env: what is replayed.
        layers: each layer of `env`, from the outermost, with its family.
    """

    def __init__(self, env: gym.Env[Any, Any], layers: list[tuple[Any, Family]]) -> None:
        super().__init__(env)
        self.layers = layers
        self._storing = [
            isinstance(family, Exact) and family.obstacle(layer) is None for layer, family in layers
        ]
        """Which layers are stored at each reset; of the others only the opening is read."""
        self._opening: list[Any] | None = None
        """What each layer was before the last reset; None: there was none."""
        self._arguments: dict[str, Any] = {}
        self._actions: list[Any] = []
        self._shown: Any = None
        """The last observation, maybe in memory that the environment uses again."""

    def __getattr__(self, name: str) -> Any:
        # Who made the environment still finds its attributes where it was.
        if name.startswith("_") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute of what is recorded."""
        done: bool = self.env.set_wrapper_attr(name, value, force=force)
        return done

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Note how each layer stands, then reset."""
        for layer, family in self.layers:
            if isinstance(family, Replayed):
                family.before_reset(layer)
        _ = self.np_random  # made now if there is none: its state is part of the opening
        self._opening = [
            _opening_of(layer, family if storing else None)
            for (layer, family), storing in zip(self.layers, self._storing, strict=True)
        ]
        self._arguments = {"seed": seed, "options": copy.deepcopy(options)}
        self._actions = []
        self._shown, info = self.env.reset(seed=seed, options=options)
        return self._shown, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Note the action, then step."""
        self._actions.append(_kept(action))
        result = self.env.step(action)
        self._shown = result[0]
        return result

    def snapshot(self) -> dict[str, Any]:
        """Return the record of the current episode, and what it must lead to."""
        if self._opening is None:
            return {"opening": None}
        return {
            "opening": self._opening,
            "arguments": self._arguments,
            "actions": _stacked(self._actions),
            "shown": copy.deepcopy(self._shown),
            "now": self._openings(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Play a recorded episode again; the next snapshot can then be taken from here.

        Raises:
            ReplayDiffers: if it does not lead to the recorded observation and generators.
        """
        if state["opening"] is None:
            self._opening = None
            return
        for (layer, family), opening in zip(self.layers, state["opening"], strict=True):
            if isinstance(family, Exact) and "stored" in opening:
                family.restore(layer, unpack(opening["stored"]))
            else:
                set_opening(layer, opening)
        try:
            self.reset(**state["arguments"])
            for action in state["actions"]:
                self.step(_kept(action))
        except Exception as error:  # whatever an environment raises where it never was
            raise ReplayDiffers(f"replaying an episode of {self.env} failed: {error!r}") from error
        now, then = self._openings(), state["now"]
        generators = [[layer["generators"] for layer in layers] for layers in (now, then)]
        shown = [copy.deepcopy(self._shown), state["shown"]]
        if not (same(*map(pack, shown)) and same(*map(pack, generators))):
            raise ReplayDiffers(
                f"replaying the {len(self._actions)} actions of an episode of {self.env} led to "
                "another observation than was recorded: expected episodes that follow from "
                "np_random and the actions; give it snapshot() and restore(state), or register "
                "Impossible(reason) for it."
            )
        for (layer, _), opening in zip(self.layers, then, strict=True):
            set_opening(layer, {**opening, "generators": {}, "scalars": {}})

    def _openings(self) -> list[Any]:
        return [read_opening(layer) for layer, _ in self.layers]


def _opening_of(layer: Any, family: Family | None) -> dict[str, Any]:
    """All of a layer if it can be stored, or what may differ between two of its episodes."""
    if isinstance(family, Exact):
        with contextlib.suppress(Unpackable):
            return {"stored": pack(family.take(layer))}
    return read_opening(layer)


def _kept(action: Any) -> Any:
    """A copy of an action: what was passed may be a view of a batch."""
    if isinstance(action, np.ndarray):
        return action.copy()
    return action if isinstance(action, int | np.generic) else copy.deepcopy(action)


def _stacked(actions: list[Any]) -> Any:
    """One array for the actions, if its rows are what they are: arrays or scalars of one type."""
    if not actions or not isinstance(actions[0], np.ndarray | np.number):
        return actions
    stacked = np.stack(actions) if _alike(actions) else None
    return actions if stacked is None or type(stacked[0]) is not type(actions[0]) else stacked


def _alike(actions: list[Any]) -> bool:
    first = actions[0]
    return all(
        type(a) is type(first) and (a.dtype, a.shape) == (first.dtype, first.shape) for a in actions
    )
