"""Box2D environments that keep one world for all their episodes.

Box2D's objects cannot be stored, so its environments are replayed. `LunarLander` makes a new world
at every reset (gymnasium issue 728). `BipedalWalker` and `CarRacing` empty the old one, whose
memory of contacts then changes the last bits of later episodes: with BipedalWalker, 7 of 8 replays
in a fresh process went astray within 120 steps.
"""

from __future__ import annotations

from typing import Any

from hookrl.envs.snapshots.family import Replayed


class FreshWorld(Replayed):
    """Gives an environment a new world before every reset, as LunarLander does for itself."""

    def before_reset(self, env: Any) -> None:
        """Replace the world by an empty one of the same gravity."""
        env._destroy()
        env.world = type(env.world)(gravity=env.world.gravity)
