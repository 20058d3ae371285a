"""Prints a trainer as the loop it runs, with every hook where it hangs."""

from __future__ import annotations

from typing import Any, Protocol

from hookrl.hooks.hook_timing import HookTiming
from hookrl.hooks.points import POINTS, HookPoint
from hookrl.hooks.registry import HookRegistry
from hookrl.trainers.step import OptimizationStep

METHODS = (
    "on_train_start",
    "on_batch_start",
    "on_metrics",
    "on_train_end",
    "on_exception",
    "teardown",
)


class Describable(Protocol):
    """The part of a trainer that its description shows."""

    hooks: HookRegistry
    modules: dict[str, Any]
    collector: Any
    loss_module: Any
    total_frames: int
    optim_steps_per_batch: int | None
    step: OptimizationStep

    @property
    def resume_kind(self) -> str:
        """How a resumed run goes on."""
        ...


def describe(trainer: Describable) -> str:
    """Return the loop as text: points in order, under each its hooks with class and cadence."""
    points = list(POINTS.values())
    inner = [index for index, point in enumerate(points) if point.inner]
    steps = trainer.optim_steps_per_batch
    budget = f"until {trainer.total_frames:,} frames, exact resume: {trainer.resume_kind}"
    if lag := getattr(trainer.collector, "policy_lag", 0):
        budget += f", policy lag: {lag} batch"
    lines = [f"for batch in {_kind(trainer.collector)}:  # {budget}"]
    for point in points[: inner[0]]:
        lines += _point(trainer, point, 1)
    times = {None: "every sub-batch", 1: "once"}.get(steps, f"{steps} times")
    lines.append(f"    {times}, unless the inner loop is ended:")
    for point in points[inner[0] : inner[-1] + 1]:
        lines += _point(trainer, point, 2)
        if point.name == "process_optim_batch":
            lines.append(f"        losses = {_kind(trainer.loss_module)}(sub_batch)")
    for point in points[inner[-1] + 1 :]:
        lines += _point(trainer, point, 1)
    around = [
        f"    {name:<28} {_kind(module):<20} {', '.join(found)}"
        for name, module in trainer.modules.items()
        if (found := [method for method in METHODS if hasattr(module, method)])
    ]
    if around:
        lines += ["around training:", *around]
    return "\n".join(line.rstrip() for line in lines)


def _point(trainer: Describable, point: HookPoint, depth: int) -> list[str]:
    indent = "    " * depth
    timing = next((m for m in trainer.modules.values() if isinstance(m, HookTiming)), None)
    lines = [f"{indent}{point.name}"]
    captured = trainer.step.captured
    for registration in trainer.hooks[point.name]:
        owner = _kind(registration.owner)
        seconds = None if timing is None else timing.total(point.name, registration.name)
        spent = "" if seconds is None else f"{seconds:10.3f} s"
        if registration in captured:
            spent += "captured"
        lines.append(
            f"{indent}    {registration.name:<28} {owner:<20} {registration.cadence!s:<20}{spent}"
        )
    return lines


def _kind(thing: Any) -> str:
    return getattr(thing, "__name__", None) or type(thing).__name__
