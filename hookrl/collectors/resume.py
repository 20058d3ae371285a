"""How exactly a collector's environments are resumed: what was asked for, and what can be done."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from gymnasium.vector import VectorEnv

from hookrl.envs import snapshots
from hookrl.errors import InvalidValue, UserError

ExactResume = Literal["require", "best", "off"]
"""What is asked of the environments when a run is resumed.

- "require": they go on in the middle of their episodes, or it is an error.
- "best": they do if they can; if not, they begin new episodes, with a warning.
- "off": they begin new episodes, and checkpoints are small.
"""

_CHOICES = ("require", "best", "off")
_CONSEQUENCE = "the resumed run is not the one that was interrupted"


class EnvironmentState:
    """The environments' part of a collector's state.

    Args:
        env: the vector environment; prepared here, unless resuming is off.
        exact_resume: "require", "best" or "off".

    Raises:
        InvalidValue: if it is none of these, or is required and impossible.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], exact_resume: str) -> None:
        if exact_resume not in _CHOICES:
            raise InvalidValue(
                f"exact_resume={exact_resume!r}: expected one of {', '.join(_CHOICES)}."
            )
        self.env = env
        self.mode = exact_resume
        self.kind = "off"
        """What can be done: "exact", "replayed" or "impossible"; or "off"."""
        self._warned = False
        if exact_resume == "off":
            return
        snapshots.prepare(env)
        self.kind, self.reason = snapshots.declare(env)
        if exact_resume == "require" and self.kind == "impossible":
            raise InvalidValue(
                f"exact_resume='require' is impossible for {env} ({self.reason}): expected "
                "'best' or 'off', or an environment that can be snapshotted."
            )

    def take(self) -> dict[str, Any] | None:
        """Return the snapshot, or None if there is none to be had.

        Raises:
            InvalidType: if it is required, and an environment has come to hold what cannot be
                stored.
        """
        if self.kind in ("off", "impossible"):
            return None
        try:
            return snapshots.take(self.env)
        except UserError as error:
            if self.mode == "require":
                raise
            if not self._warned:
                self._warn(f"a checkpoint holds no environments, since {error}")
            self._warned = True
            return None

    def check(self, state: dict[str, Any] | None) -> None:
        """Check a snapshot before anything is changed.

        Raises:
            InvalidValue: if it belongs to other environments, or is required and missing.
        """
        if self.kind in ("off", "impossible"):
            return
        if state is not None:
            try:
                snapshots.check(self.env, state)
            except UserError as error:
                hint = "exact_resume='off' would begin new episodes"
                raise InvalidValue(f"{str(error).rstrip('.')}; {hint}.") from error
        elif self.mode == "require":
            raise InvalidValue(
                "exact_resume='require' with a checkpoint that holds no environments: expected "
                "one that does, or 'best' or 'off'."
            )

    def restore(self, state: dict[str, Any] | None) -> bool:
        """Bring the environments back; return whether they go on in the middle of their episodes.

        Raises:
            ReplayDiffers: if it is required, and a replayed episode went another way.
        """
        if self.kind == "off":
            return False
        if state is None or self.kind == "impossible":
            reason = self.reason or "the checkpoint holds none"
            self._warn(f"the environments begin new episodes, since {reason}")
            return False
        try:
            snapshots.restore(self.env, state)
        except snapshots.ReplayDiffers as error:
            if self.mode == "require":
                raise
            self._warn(f"the environments begin new episodes, since {error}")
            return False
        return True

    def _warn(self, what: str) -> None:
        # Of no line of the user's: where the collector is loaded from is not what is wrong.
        warnings.warn(f"{what.rstrip('.')}; {_CONSEQUENCE}.", stacklevel=4)
