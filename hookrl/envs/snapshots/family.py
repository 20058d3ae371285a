"""What a family of environments says for itself: how one layer is snapshotted, or why not.

A layer is an environment or a wrapper without what it wraps. The three kinds of family are the
three things that an environment can declare: `Exact`, `Replayed` and `Impossible`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import gymnasium as gym

Kind = Literal["exact", "replayed", "impossible"]
"""How an environment is brought back to the middle of an episode.

- "exact": its whole state is stored.
- "replayed": the generator's state at the last reset and the actions since are stored, and played
  again. What the environment then shows must be what it showed before, bit for bit.
- "impossible": not at all.
"""


class Declaration(NamedTuple):
    """Of what kind a layer or an environment is, and why it is no better."""

    kind: Kind
    reason: str = ""


class Exact:
    """Stores the whole state of a layer. Subclasses say how, in `take` and `restore`."""

    replayable = True
    """Whether a layer that has an obstacle can be replayed; else it is impossible."""

    def prepare(self, layer: Any) -> None:
        """Prepare environments inside of the layer, if there are any, before the first reset."""

    def declare(self, layer: Any) -> Declaration:
        """Say what can be done for this very layer."""
        obstacle = self.obstacle(layer)
        if obstacle is None:
            return Declaration("exact")
        can_be_replayed = self.replayable and isinstance(layer, gym.Env)
        reason = f"{type(layer).__name__}: {obstacle}"
        return Declaration("replayed" if can_be_replayed else "impossible", reason)

    def obstacle(self, layer: Any) -> str | None:
        """Return why this very layer cannot be stored, or None."""
        return None

    def take(self, layer: Any) -> dict[str, Any]:
        """Return the state: what `hookrl.envs.snapshots.values.pack` takes, and copies."""
        raise NotImplementedError

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Raise InvalidValue or MissingKey, in one sentence, if `state` is not for this layer."""

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Bring `layer` into `state`, which belongs to it from now on."""
        raise NotImplementedError


class OwnMethods(Exact):
    """A layer that has methods ``snapshot()`` and ``restore(state)`` of its own."""

    def take(self, layer: Any) -> dict[str, Any]:
        """Return what the layer says."""
        return {"own": layer.snapshot()}

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Hand it back."""
        layer.restore(state["own"])


class Replayed:
    """A layer whose episodes depend on nothing but its generators at the reset and the actions.

    Environments of classes that nobody registered are taken to be of this kind.
    """

    def declare(self, layer: Any) -> Declaration:
        """Only single environments can be replayed."""
        if isinstance(layer, gym.Env):
            return Declaration("replayed")
        return Declaration("impossible", f"{type(layer).__name__}: it is no gymnasium.Env")

    def before_reset(self, env: Any) -> None:
        """Forget what would otherwise be carried over from earlier episodes."""


class Impossible:
    """A layer that can neither be stored nor be replayed.

    Args:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def declare(self, layer: Any) -> Declaration:
        """It cannot be done."""
        return Declaration("impossible", f"{type(layer).__name__}: {self.reason}")


Family = Exact | Replayed | Impossible


def weakest(declarations: list[Declaration]) -> Declaration:
    """What a whole can do of which the parts declare this: as much as the weakest of them."""
    order: list[Kind] = ["impossible", "replayed", "exact"]
    return min(declarations, key=lambda declaration: order.index(declaration.kind))
