"""Which hooks of the inner loop are part of the captured step, and which run around it."""

from __future__ import annotations

from dataclasses import dataclass

from hookrl.graph import NotCapturable
from hookrl.hooks.optimizer import OptimizerHook
from hookrl.hooks.registration import Registration
from hookrl.hooks.registry import HookRegistry


@dataclass(frozen=True)
class Plan:
    """The inner points, cut where the captured step begins and ends.

    Those at ``process_optim_batch`` up to the last that cannot be captured run before it, those at
    ``post_optim`` from the first that cannot run after it, and so do all of ``post_optim_log`` and
    whoever at ``post_loss`` may wait.
    """

    select: slice
    """Captured ones at ``process_optim_batch``."""
    post_loss: list[int]
    """Captured ones at ``post_loss``, by their place in the order."""
    deferred: list[int]
    """The others there."""
    post_optim: slice
    """Captured ones at ``post_optim``."""
    captured: list[Registration]
    """All of them."""
    guards: list[Registration]
    """Captured ones at ``optimizer`` that may refuse the step."""
    needs_sub_batch: bool
    """Whether anybody looks at the sub-batch after the step."""

    @property
    def select_before(self) -> slice:
        """Those at ``process_optim_batch`` that run before."""
        return slice(0, self.select.start)

    @property
    def post_optim_after(self) -> slice:
        """Those at ``post_optim`` that run after."""
        return slice(self.post_optim.stop, None)


def make_plan(hooks: HookRegistry) -> Plan:
    """Cut the inner loop.

    Raises:
        NotCapturable: if a hook in the middle can be neither captured nor deferred.
    """
    selecting, after_loss, optimizing, after = (
        list(hooks[point])
        for point in ("process_optim_batch", "post_loss", "optimizer", "post_optim")
    )
    first = len(selecting)
    # One whose numbers are not prepared beforehand would draw the same ones for ever.
    while first and _is_capturable(selecting[first - 1]) and _is_prepared(selecting[first - 1]):
        first -= 1
    post_loss = [index for index, one in enumerate(after_loss) if _is_capturable(one)]
    deferred = [index for index in range(len(after_loss)) if index not in post_loss]
    for index in deferred:
        if not getattr(after_loss[index].owner, "deferrable", False):
            raise _stuck(after_loss[index], "neither capturable nor deferrable")
    for registration in optimizing:
        if not (_is_optimizer(registration) or _is_guard(registration)):
            raise _stuck(registration, "neither an OptimizerHook nor one that permits the step")
    if not any(map(_is_optimizer, optimizing)):
        raise NotCapturable("no OptimizerHook hangs on 'optimizer'")
    last = 0
    while last < len(after) and _is_capturable(after[last]):
        last += 1
    return Plan(
        select=slice(first, len(selecting)),
        post_loss=post_loss,
        deferred=deferred,
        post_optim=slice(0, last),
        captured=[
            *selecting[first:],
            *(after_loss[index] for index in post_loss),
            *optimizing,
            *after[:last],
        ],
        guards=[registration for registration in optimizing if _is_guard(registration)],
        needs_sub_batch=bool(deferred) or bool(list(hooks["post_optim_log"])),
    )


def _is_capturable(registration: Registration) -> bool:
    return bool(getattr(registration.owner, "capturable", False)) and registration.cadence.always


def _is_prepared(registration: Registration) -> bool:
    return bool(getattr(registration.owner, "inputs", ()))


def _is_optimizer(registration: Registration) -> bool:
    owner = type(registration.owner)
    return (
        issubclass(owner, OptimizerHook)
        # One that does something else there may do it by the index of the step, or look at numbers.
        and owner.backward is OptimizerHook.backward
        and owner.step is OptimizerHook.step
        and owner.__call__ is OptimizerHook.__call__
        and registration.cadence.always
    )


def _is_guard(registration: Registration) -> bool:
    return callable(getattr(registration.owner, "permits", None))


def _stuck(registration: Registration, why: str) -> NotCapturable:
    return NotCapturable(f"hook {registration.name!r} at {registration.point.name!r} is {why}")
