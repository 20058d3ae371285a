"""Atari games: the emulator's state with its generator, and the action that it still holds.

With sticky actions (probability ``repeat_action_probability``, 0.25 in the v5 environments) the
emulator repeats the action that it executed last, which is part of no state that it gives away and
which only its own generator knows. It is found by trying: the emulator goes on from the state for
a few frames, then again with each action held in turn, until both go through the same states. A
reset lets go of it.
"""

from __future__ import annotations

import math
from typing import Any

from hookrl.envs.snapshots.attributes import Attributes
from hookrl.envs.snapshots.values import Unpackable
from hookrl.errors import InvalidValue

_NEVER = 1e-12
"""A probability that is taken for none: of so many repeated actions in a row."""


class Ale(Attributes):
    """The emulator's state, and the environment's other attributes.

    While a snapshot is taken the emulator plays a few frames that are undone; until the next step
    `render` shows the last of them.
    """

    replayable = False
    """The emulator's generator goes on from episode to episode and cannot be read at a reset."""

    def __init__(self) -> None:
        super().__init__(constants=("ale", "_action_set"))

    def obstacle(self, layer: Any) -> str | None:
        """What is no part of the emulator's state, or cannot be found by trying."""
        if layer.sound_obs or layer.ale.getBool("color_averaging"):
            return "its observations depend on sound or earlier frames, which ALE does not store"
        if layer.continuous and _stickiness(layer):
            return "sticky continuous actions cannot be read from ALE"
        return super().obstacle(layer)

    def take(self, layer: Any) -> dict[str, Any]:
        """Attributes, settings, the emulator's state, and the number of the held action."""
        return {
            "environment": super().take(layer),
            "settings": _settings(layer),
            "emulator": _serialised(layer),
            "held": _held_action(layer),
        }

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Check that it is the same game, made with the same arguments."""
        super().check(layer, state["environment"])
        if state["settings"] != _settings(layer):
            raise InvalidValue(
                f"the snapshot belongs to an Atari game made with {state['settings']}: expected "
                f"{_settings(layer)}."
            )

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Make the emulator hold the action, then set its state."""
        super().restore(layer, state["environment"])
        _hold(layer, state["held"], state["emulator"])


def _held_action(layer: Any) -> int:
    """Find the action that the emulator holds, or one that makes no difference."""
    if not _stickiness(layer):
        return 0
    state = _serialised(layer)
    goal = _go_on(layer, 0)
    for action in (0, *(action.value for action in layer._action_set)):
        _hold(layer, action, state)
        if _go_on(layer, 0) == goal:
            _hold(layer, action, state)
            return action
    raise Unpackable("the action that ALE still holds could not be found")


def _hold(layer: Any, action: int, state: bytes) -> None:
    """Bring the emulator into a state in which it holds an action."""
    _go_on(layer, action)
    _set(layer, state)


def _go_on(layer: Any, action: int) -> list[bytes]:
    """Ask for an action until it is held, whatever is repeated before; return what happened."""
    stickiness = _stickiness(layer)
    happened = []
    for _ in range(math.ceil(math.log(_NEVER, stickiness)) if stickiness else 0):
        layer.ale.act(action)
        happened.append(layer.ale.getRAM().tobytes())
    return [*happened, _serialised(layer)]


def _stickiness(layer: Any) -> float:
    return float(layer.ale.getFloat("repeat_action_probability"))


def _serialised(layer: Any) -> bytes:
    content: bytes = layer.ale.cloneState(include_rng=True).serialize()
    return content


def _set(layer: Any, content: bytes) -> None:
    from ale_py import ALEState

    layer.ale.restoreState(ALEState(content))


def _settings(layer: Any) -> dict[str, Any]:
    """What the environment was made with, apart from what is only shown."""
    return {key: value for key, value in layer._ezpickle_kwargs.items() if key != "render_mode"}
