"""The ten points of the loop, as one table.

Registration, dispatch, checks, error texts and documentation all read `POINTS`; nothing else in
hookrl lists the points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hookrl.errors import InvalidType, InvalidValue, did_you_mean

Kind = Literal["data", "logging", "operation"]
Result = Literal["replaces its first argument", "metrics", "nothing"]


@dataclass(frozen=True, slots=True)
class HookPoint:
    """The contract of one point: what a hook there is given and what it may return."""

    name: str
    kind: Kind
    when: str
    """When the loop comes by, in words."""
    arguments: tuple[str, ...]
    """Names of the positional arguments every hook at this point receives."""
    result: Result
    """What becomes of a returned value; None is always allowed and changes nothing."""
    inner: bool
    """Whether the point lies inside the optimization loop."""

    @property
    def call(self) -> str:
        """The call as a reader would write it: ``hook(batch)``."""
        return f"hook({', '.join(self.arguments)})"


_REPLACES: Final = "replaces its first argument"
_LOSSES: Final = ("losses", "clip_grad_norm", "clip_norm", "optim_step")

POINTS: Final[dict[str, HookPoint]] = {
    point.name: point
    for point in (
        HookPoint(
            "batch_process", "data", "once per collected batch", ("batch",), _REPLACES, False
        ),
        HookPoint("pre_steps_log", "logging", "after batch_process", ("batch",), "metrics", False),
        HookPoint("pre_optim_steps", "operation", "before the inner loop", (), "nothing", False),
        HookPoint(
            "process_optim_batch", "data", "each optimization step", ("batch",), _REPLACES, True
        ),
        HookPoint("post_loss", "operation", "after the loss", ("sub_batch",), _REPLACES, True),
        HookPoint(
            "optimizer", "operation", "backward, clip, step, zero_grad", _LOSSES, _REPLACES, True
        ),
        HookPoint("post_optim", "operation", "after the optimizer step", (), "nothing", True),
        HookPoint("post_optim_log", "logging", "after post_optim", ("sub_batch",), "metrics", True),
        HookPoint("post_steps", "operation", "after the inner loop", (), "nothing", False),
        HookPoint("post_steps_log", "logging", "after post_steps", ("batch",), "metrics", False),
    )
}

INSTEAD: Final[dict[str, str]] = {
    "process_loss": "the point 'optimizer', with a negative priority",
    "pre_epoch": "the point 'batch_process'",
    "pre_epoch_log": "the point 'pre_steps_log'",
    "post_epoch": "the point 'post_steps'",
    "post_epoch_log": "the point 'post_steps_log'",
    "post_optim_complete_log": "the point 'post_steps_log' and trainer.mean_losses",
    "setup": "a method on_train_start(trainer) of the hook",
    "shutdown": "a method teardown(trainer) of the hook",
}
"""Destinations that torchrl has beyond the ten, and what serves their purpose here."""


def find_point(name: str) -> HookPoint:
    """Return the point called `name`.

    Raises:
        InvalidValue: if there is no such point; the message lists the ten, and the nearest.
    """
    if not isinstance(name, str):
        raise InvalidType(
            f"the hook point is a {type(name).__name__}: expected one of {', '.join(POINTS)}."
        )
    if name in POINTS:
        return POINTS[name]
    if name in INSTEAD:
        raise InvalidValue(f"{name!r} is not a hook point of hookrl: use {INSTEAD[name]} instead.")
    raise InvalidValue(
        f"unknown hook point {name!r}{did_you_mean(name, POINTS)}: "
        f"expected one of {', '.join(POINTS)}."
    )
