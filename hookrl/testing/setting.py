"""What the checks of a hook work with: fresh trainers and hooks, and runs that can be compared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tensordict import TensorDictBase

from hookrl.errors import InvalidType
from hookrl.hooks.check import HookCheckError
from hookrl.state import Stateful, generators_state, load_generators_state, seed_process
from hookrl.testing.observe import Trace
from hookrl.testing.tiny import TinyCollector, tiny_trainer

BATCHES = 6
"""Length of the runs; an odd number before and after the middle, to catch what alternates."""

NAME = "checked"
"""Under which the hook is registered."""


class Setting:
    """Makes the trainers and hooks that the checks work with.

    Everything is built and run from the same state of the process-wide generators, so that two
    runs differ by what the hook does and by nothing else.
    """

    def __init__(
        self,
        factory: Callable[..., Any],
        batch: TensorDictBase | None,
        trainer: Callable[[], Any] | None,
    ) -> None:
        if batch is not None and not isinstance(batch, TensorDictBase):
            raise InvalidType(f"batch is a {type(batch).__name__}: expected a TensorDict.")
        if trainer is not None and (hasattr(trainer, "register_op") or not callable(trainer)):
            raise InvalidType(
                f"trainer is a {type(trainer).__name__}: expected a function that makes a fresh "
                "trainer at every call."
            )
        self._factory = factory
        self._takes_trainer = _takes_trainer(factory)
        self._batch = batch
        self._make_trainer = trainer
        self.kind = type(self.hook(self.trainer())).__name__

    def trainer(self) -> Any:
        """A fresh trainer."""
        seed_process(np.random.SeedSequence(0))
        if self._make_trainer is None:
            return tiny_trainer(collector=TinyCollector(self._batch), total_frames=10**9)
        trainer = self._make_trainer()
        if self._batch is not None:
            trainer.collector = TinyCollector(self._batch)
        elif not isinstance(trainer.collector, Stateful):
            raise InvalidType(
                f"the collector of the trainer is a {type(trainer.collector).__name__}: expected "
                "one with state_dict and load_state_dict, so that training can be resumed; or give "
                "check_hook a batch."
            )
        return trainer

    def hook(self, trainer: Any) -> Any:
        """A fresh hook, for `trainer`."""
        return self._factory(trainer) if self._takes_trainer else self._factory()

    def registered(self) -> tuple[Any, Any]:
        """A fresh trainer and the fresh hook that hangs on it."""
        trainer = self.trainer()
        hook = self.hook(trainer)
        hook.register(trainer, NAME)
        return trainer, hook

    def train(self, trainer: Any, batches: int = BATCHES, **options: Any) -> Trace:
        """Train for so many batches from the same generators as ever."""
        trace = Trace(trainer, batches, **options)
        seed_process(np.random.SeedSequence(1))
        trace.train()
        return trace

    def fail(self, check: str, found: str, expected: str) -> HookCheckError:
        """The error that says so."""
        return HookCheckError(self.kind, check, found, expected)


@contextmanager
def process_left_alone() -> Iterator[None]:
    """Give the process-wide generators back as they were."""
    state = generators_state()
    try:
        yield
    finally:
        load_generators_state(state)


def told(error: Exception) -> str:
    """An error as part of a sentence."""
    return f"{type(error).__name__}: {error}".rstrip(".")


def _takes_trainer(factory: Any) -> bool:
    """Whether `factory` wants the trainer.

    Raises:
        InvalidType: if it cannot be called in either way.
    """
    if not callable(factory) or (not isinstance(factory, type) and hasattr(factory, "register")):
        raise InvalidType(
            f"check_hook received an instance of {type(factory).__name__}: expected a class, or a "
            "function that makes a fresh hook at every call."
        )
    required = [
        parameter.name
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if not required:
        return False
    if required == ["trainer"] or (len(required) == 1 and not isinstance(factory, type)):
        return True
    name = getattr(factory, "__name__", type(factory).__name__)
    raise InvalidType(
        f"check_hook cannot make a {name}, which needs {', '.join(required)}: expected a function "
        f"without arguments, or one that takes the trainer, such as lambda: {name}(…)."
    )
