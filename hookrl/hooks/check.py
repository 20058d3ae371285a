"""The contract of a hook as an executable check: what check_estimator is to scikit-learn.

The checks train, so they belong above the trainers, in `hookrl.testing`; hooks are below and may
not import them. What users call, and the error they catch, is here, where the contract is; the
checks are loaded when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensordict import TensorDictBase

from hookrl.errors import UserError


class HookCheckError(UserError, AssertionError):
    """A hook breaks its contract: the text says which check, what was found, what is expected.

    Args:
        hook: class of the hook.
        check: name of the check.
        found: what the hook does.
        expected: what it should do.
    """

    def __init__(self, hook: str, check: str, found: str, expected: str) -> None:
        super().__init__(f"{hook} fails the check {check!r}: {found}; expected {expected}.")
        self.hook = hook
        self.check = check


def check_hook(
    factory: Callable[..., Any],
    *,
    batch: TensorDictBase | None = None,
    trainer: Callable[[], Any] | None = None,
) -> None:
    """Check everything that a hook promises, on short real training runs.

    In this order:

    - *factory*: every call makes a new instance, with ``register`` and state;
    - *registration*: ``register`` works with a name and without, and side by side under two names,
      at valid points with fitting signatures, and the state goes by the name that was given;
    - *training*: a run of a few batches succeeds;
    - *environment*: what the environment gave is not changed in place;
    - *writes*: declared keys are there after the first call;
    - *reads*: without a declared key the first call fails; a hook that declares any needs no
      other key of the environment;
    - *state*: it goes through the checkpoint codec into a fresh instance and comes out the same;
    - *continuation*: a fresh trainer that loads a checkpoint trains on exactly as the first one
      does: same metrics (but ``time/…``), losses, batches and weights;
    - *sharing*: training with one instance leaves another as it was;
    - *removal*: with its operations removed and its state forgotten, the trainer trains as if the
      hook had never been there.

    Args:
        factory: makes fresh instances: a class or function without required arguments, or with
            one, the trainer (which a class must call ``trainer``).
        batch: what the collector gives, every time in a copy; None: `hookrl.testing.tiny_batch`.
        trainer: makes fresh trainers that can resume; None: `hookrl.testing.tiny_trainer`. With
            `batch` as well, that is collected in place of the trainer's own data.

    Raises:
        HookCheckError: at the first promise that is broken.
        InvalidType: if `factory` or `trainer` are not functions that make such things.
        InvalidValue: if training ends too soon to be continued.
        MissingKey: if the hook declares to read what the data do not have.
    """
    from hookrl.testing.hook_checks import run_checks  # late: see above

    run_checks(factory, batch=batch, trainer=trainer)
