"""The optimization step as one graph of the same hooks.

What is captured is decided by `make_plan`; what runs before and after it runs as in `EagerStep`,
in the same order. The graph is made at the first step, from the hooks as they are then, and once
more for each new shape of sub-batch; it is never replaced by the eager step in between, so that a
run that is resumed computes what it would have computed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from hookrl.graph import NotCapturable
from hookrl.hooks.registration import Registration
from hookrl.trainers.captured.capture import Capture, Refused
from hookrl.trainers.captured.plan import make_plan
from hookrl.trainers.captured.repeat import Repeat
from hookrl.trainers.step import EagerStep, StepHost

_RECAPTURES = 3
"""How often settings may change before every step is eager."""


class CapturedStep:
    """Carries out steps of the inner loop by a compiled graph.

    Settings that are plain numbers (coefficients of the loss, betas of the optimizer) are part of
    the graph: if one changes it is captured again, the learning rate aside, which is read anew. A
    tensor that somebody swaps for another one is noticed too, between batches. Where nothing runs
    between two graphs but what hookrl's own hooks prepare, a step is the `Repeat` of the last.

    Args:
        trainer: whose step this is.
        warns: say so once if steps are eager after all.
    """

    def __init__(self, trainer: StepHost, *, warns: bool = True) -> None:
        self._trainer = trainer
        self._warns = warns
        self._eager = EagerStep(trainer)
        self._capture: Capture | None = None
        self._settings: Any = None
        self._repeat: Repeat | None = None
        self.refused: str | None = None
        """Why steps are eager after all; None: they are not."""

    @property
    def captured(self) -> Sequence[Registration]:
        """The hooks that are carried out as part of the graph."""
        if self.refused is not None:
            return ()
        try:
            return make_plan(self._trainer.hooks).captured
        except NotCapturable:
            return ()

    def reset(self) -> None:
        """Forget the graph: hooks have come or gone, or state was loaded."""
        self._capture = None
        self._settings = None
        self._repeat = None
        self.refused = None

    def __call__(self, batch: Any, index: int) -> bool:
        """Carry out step `index` on `batch`; False if there was nothing left to learn from."""
        if index and self._repeat is not None:
            return self._repeat.run(index)
        self._repeat = None
        if index == 0 and self._capture is not None and not self._is_current():
            self._capture = None
        if self._capture is None and self.refused is None:
            self._begin()
        if self._capture is None or not self._capture.serves(index):
            return self._eager(batch, index)
        try:
            taken = self._capture.run(batch, index)
        except Refused as refused:
            if refused.reason is not None:
                if self._capture.has_run:
                    self._trainer.recaptures = _RECAPTURES + 1
                self._refuse(str(refused.reason))
            return self._eager.learn(refused.sub_batch, index)
        self._repeat = self._capture.repeat
        return taken

    def _begin(self) -> None:
        # The count is part of checkpoints: a run that is resumed is as eager as it would have been.
        if self._trainer.recaptures > _RECAPTURES:
            self._refuse(f"settings {_changed(self._trainer.recaptures)}")
            return
        try:
            self._capture = Capture(self._trainer)
        except NotCapturable as error:
            self._refuse(str(error))
        else:
            self._settings = self._capture.settings()

    def _is_current(self) -> bool:
        capture = self._capture
        assert capture is not None
        if capture.glance is not None and capture.glance.is_same():
            return True
        settings = capture.settings()
        if settings != self._settings:
            self._trainer.recaptures += 1
            if self._trainer.recaptures > _RECAPTURES:
                changed = ", ".join(capture.changed(self._settings, settings))
                self._refuse(f"{changed} {_changed(self._trainer.recaptures)}")
            return False
        is_current = capture.is_current()
        if is_current and capture.glance is None:
            capture.begin_to_glance()
        return is_current

    def _refuse(self, reason: str) -> None:
        self._capture, self.refused = None, reason
        if self._warns:
            warnings.warn(f"the optimization step is not captured: {reason}.", stacklevel=4)


def _changed(times: int) -> str:
    return f"changed {times} times, each of which compiles"
