"""Measures where the time goes: seconds spent in each hook, at each point."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hookrl.hooks.base import TrainerHookBase

Call = Callable[..., Any]


class HookTiming(TrainerHookBase):
    """Reports ``time/<point>/<hook>``, in seconds per batch, and keeps the totals of the run.

    The first phase of a hook counts under the point's name ``prepare``. What a hook leaves running
    on a device is not waited for: it counts where the host next waits. Timings are no state; they
    may differ between two equal runs.
    """

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        """Seconds by ``<point>/<hook>`` since training started."""
        self._reported: dict[str, float] = {}

    def register(self, trainer: Any, name: str = "hook_timing") -> None:
        """Report last at ``post_steps_log``."""
        trainer.register_op("post_steps_log", self, name=name, priority=1000)
        trainer.register_module(name, self)

    def on_train_start(self, trainer: Any) -> None:
        """Begin at zero."""
        self.totals, self._reported = {}, {}

    def on_batch_start(self, trainer: Any) -> None:
        """Wrap every hook that is not, such as those registered since the last batch."""
        for point, hooks in trainer.hooks.points.items():
            if not all(isinstance(call, _Timed) for call in hooks.calls):
                hooks.calls = tuple(
                    self._timed(call, f"{point}/{registration.name}")
                    for registration, call in zip(hooks, hooks.calls, strict=True)
                )
        trainer.prepare_calls = tuple(
            (hook, self._timed(call, f"prepare/{_module_name(trainer, hook)}"))
            for hook, call in trainer.prepare_calls
        )

    def __call__(self, batch: Any) -> dict[str, float]:
        """Report the seconds since the last report."""
        spent = {
            f"time/{key}": total - self._reported.get(key, 0.0)
            for key, total in self.totals.items()
        }
        self._reported = dict(self.totals)
        return spent

    def total(self, point: str, name: str) -> float | None:
        """Seconds spent in one hook at one point; None if it was not timed."""
        return self.totals.get(f"{point}/{name}")

    def teardown(self, trainer: Any) -> None:
        """Take the clocks off again."""
        for hooks in trainer.hooks.points.values():
            hooks.calls = tuple(_untimed(call) for call in hooks.calls)
        trainer.prepare_calls = tuple(
            (hook, _untimed(call)) for hook, call in trainer.prepare_calls
        )

    def _timed(self, call: Call, key: str) -> Call:
        if isinstance(call, _Timed):
            return call
        self.totals.setdefault(key, 0.0)
        return _Timed(call, key, self.totals)


class _Timed:
    """A call and the clock beside it."""

    __slots__ = ("call", "key", "totals")

    def __init__(self, call: Call, key: str, totals: dict[str, float]) -> None:
        self.call = call
        self.key = key
        self.totals = totals

    def __call__(self, *arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return self.call(*arguments)
        finally:
            self.totals[self.key] += time.perf_counter() - start


def _untimed(call: Call) -> Call:
    return call.call if isinstance(call, _Timed) else call


def _module_name(trainer: Any, hook: Any) -> str:
    """Under which name a hook is registered."""
    names = [name for name, module in trainer.modules.items() if module is hook]
    return names[0] if names else type(hook).__name__
