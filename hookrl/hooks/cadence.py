"""When a registered hook is due: every so many calls, every so many frames, or once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookrl.errors import InvalidType, InvalidValue


class Cadence:
    """Decides call by call whether a hook is due; thresholds are crossed, never hit exactly.

    Args:
        every: due at each `every`-th call.
        every_frames: due whenever another multiple of this many collected frames was reached.
            0 or None: frames do not matter.
        once: never due again after the first time.
    """

    __slots__ = ("_calls", "_done", "_every", "_every_frames", "_next_frames", "_once")

    def __init__(self, every: int = 1, every_frames: int | None = None, once: bool = False) -> None:
        for name, value in (("every", every), ("every_frames", every_frames or 0)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidType(
                    f"{name}={value!r} at the registration of a hook: expected a whole number."
                )
        if every < 1:
            raise InvalidValue(f"every={every} at the registration of a hook: expected at least 1.")
        if every_frames is not None and every_frames < 0:
            raise InvalidValue(
                f"every_frames={every_frames} at the registration of a hook: expected 0 or more."
            )
        self._every = every
        self._every_frames = every_frames or 0
        self._once = once
        self._calls = 0
        self._next_frames = self._every_frames
        self._done = False

    @property
    def always(self) -> bool:
        """Whether the hook is due at every call, so that nobody needs to ask."""
        return self._every == 1 and not self._every_frames and not self._once

    def due(self, collected_frames: int) -> bool:
        """Count one call and say whether the hook runs in it."""
        if self._done:
            return False
        self._calls += 1
        if self._calls < self._every or collected_frames < self._next_frames:
            return False
        self._calls = 0
        if self._every_frames:
            self._next_frames = (collected_frames // self._every_frames + 1) * self._every_frames
        self._done = self._once
        return True

    def state_dict(self) -> dict[str, Any]:
        """Calls since the hook last ran, the next frame threshold, and whether it is spent."""
        return {"calls": self._calls, "next_frames": self._next_frames, "done": self._done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting where `state` left off."""
        self._calls, self._next_frames, self._done = (
            int(state["calls"]),
            int(state["next_frames"]),
            bool(state["done"]),
        )

    def __str__(self) -> str:
        parts = [f"every {self._every}"] if self._every > 1 else []
        parts += [f"every {self._every_frames:,} frames"] if self._every_frames else []
        parts += ["once"] if self._once else []
        return ", ".join(parts)
