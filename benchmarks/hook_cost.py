"""What the hook system costs by itself: ``python -m benchmarks.hook_cost``.

The figures, in microseconds. In a process each is a median over rounds in which all that is
compared takes turns. Processes can differ by more than rounds do, so all is measured in several, of
different hash seeds, and a figure is the median over these:

- *One more hook*, eager: the time that the trainer takes to go by a point, as a function of the
  number of hooks there that do nothing: 0, 25, 50, 75 and 100. The figure is the slope of the line
  through these. Once for each way in which points call their hooks: ``replace``
  (``process_optim_batch``, and ``optimizer`` with its four arguments), ``run`` (``post_optim``) and
  ``collect`` (``post_optim_log``). The rest of a step is the same with and without hooks that do
  nothing.
- *One more hook*, captured: the slope of the time of a whole step, as a part of the inner loop of
  `benchmarks.inner_loops`, from 0 to 100 such hooks, half of them at ``post_loss`` and half at
  ``post_optim``. They are traced with the others and leave nothing in the graph.
- *The whole system in one inner step*, eager: the time of ``trainer.optimize`` with all hooks of
  PPO, less that of the same operations on the same objects written out by hand, divided by the
  number of steps: drawing minibatches, loss, finiteness, backward pass, clipping, Adam, means of
  the losses.
- The same, captured, is taken twice: over the *bare graph*, called with the same inputs and nothing
  around it, so that it includes what drawing minibatches and adding losses up takes; and over a
  *loop by hand* around that graph that does both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

from benchmarks.hook_cost_report import summary
from benchmarks.inner_loops import CONFIG, STEPS, InnerLoop, NoOperation
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.processors import use_processors
from benchmarks.report import RESULTS_DIR, write_report
from benchmarks.timing import Estimate, difference, estimate, in_turn, slope
from hookrl.configs import to_plain
from hookrl.hooks.registry import HookRegistry

COUNTS = (0, 25, 50, 75, 100)
_OPTIONS: dict[str, Any] = {
    **{"priority": 0, "before": None, "after": None, "every": 1},
    **{"every_frames": None, "once": False, "kwargs": {}},
}
_PASSES = 100
"""Passes by a point in one measurement."""
_EAGER, _HAND = "trainer.optimize, eager", "by hand, eager"
_CAPTURED, _GRAPH = "trainer.optimize, captured", "bare graph"
_GRAPH_HAND = "by hand around the graph"
_MANY = f"trainer.optimize, captured, {COUNTS[-1]} more hooks"


def passing(point: str, count: int) -> Any:
    """Return what goes by a point with so many hooks that do nothing, `_PASSES` times."""
    registry = HookRegistry(frames=lambda: 0)
    for number in range(count):
        registry.register(
            point,
            NoOperation(),
            name=f"nothing_{number}",
            **_OPTIONS,
        )
    registry.resolve()
    hooks, data = registry[point], TensorDict({}, batch_size=[])
    calls = {
        "process_optim_batch": lambda: hooks.replace(data),
        "optimizer": lambda: hooks.replace(data, True, 0.5, 0),
        "post_optim": hooks.run,
        "post_optim_log": lambda: hooks.collect(data, print),
    }
    call = calls[point]

    def passes() -> None:
        for _ in range(_PASSES):
            call()

    return passes


def cost_of_a_hook(rounds: int) -> dict[str, Estimate]:
    """Measure one more hook at a point of each kind, eager; seconds per pass."""
    ways = {
        (point, count): passing(point, count)
        for point in ("process_optim_batch", "optimizer", "post_optim", "post_optim_log")
        for count in COUNTS
    }
    named = {f"{point} {count}": way for (point, count), way in ways.items()}
    seconds = in_turn(named, rounds)
    found = {}
    for point in dict.fromkeys(point for point, _ in ways):
        times = {n: [t / _PASSES for t in seconds[f"{point} {n}"]] for n in COUNTS}
        found[point] = slope(times)
    return found


def cost_of_the_system(rounds: int) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Measure whole steps; seconds.

    Returns:
        The differences, and the steps that they are differences of.
    """
    eager, captured = InnerLoop(), InnerLoop(compile=True)
    many = InnerLoop(compile=True, no_operations=COUNTS[-1])
    many_of_them, loops = many.by_trainer, (eager, captured, many)

    def begin() -> None:
        for loop in loops:
            loop.begin()

    ways = {
        _EAGER: eager.by_trainer,
        _HAND: eager.by_hand,
        _CAPTURED: captured.by_trainer,
        _GRAPH: captured.bare_graph(),
        _GRAPH_HAND: captured.graph_by_hand(),
        _MANY: many_of_them,
    }
    in_turn(ways, max(rounds // 20, 1), prepare=begin)  # to warm up
    seconds = {
        name: [time / STEPS for time in times]
        for name, times in in_turn(ways, rounds, prepare=begin).items()
    }
    one_more = [
        (a - b) / COUNTS[-1] for a, b in zip(seconds[_MANY], seconds[_CAPTURED], strict=True)
    ]
    differences = {
        "hook, captured": estimate(one_more),
        "system, eager": difference(seconds[_EAGER], seconds[_HAND]),
        "system, captured, over the bare graph": difference(seconds[_CAPTURED], seconds[_GRAPH]),
        "system, captured, over a loop by hand": difference(
            seconds[_CAPTURED], seconds[_GRAPH_HAND]
        ),
    }
    return differences, {name: estimate(times) for name, times in seconds.items()}


def measured(rounds: int) -> dict[str, dict[str, float]]:
    """Measure everything in this process.

    Returns:
        The medians of figures, and of the steps that some are differences of, in microseconds.
    """
    points = cost_of_a_hook(rounds)
    system, steps = cost_of_the_system(rounds)
    figures = {f"hook, eager, {point}": found for point, found in points.items()} | system
    return {
        kind: {name: round(1e6 * found.median, 4) for name, found in estimates.items()}
        for kind, estimates in (("figures", figures), ("steps", steps))
    }


def measured_apart(rounds: int, seed: int) -> dict[str, dict[str, float]]:
    """The same in a new process, of this hash seed."""
    command = [sys.executable, "-m", "benchmarks.hook_cost", "--apart", "--rounds", str(rounds)]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and store; the exit code is 1 if something costs more than it may."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hook_cost", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=100, help="in each process (default: 100)")
    parser.add_argument("--processes", type=int, default=8, help="default: 8, about five minutes")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where JSON is kept")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser.parse_args(given)
    if min(options.rounds, options.processes) < 1:
        parser.error("--rounds and --processes are at least 1")
    use_processors(1)
    torch.set_num_threads(1)
    if options.apart:
        print(json.dumps(measured(options.rounds)))
        return 0
    machine = describe_machine()
    processes = [measured_apart(options.rounds, seed) for seed in range(options.processes)]
    content = {
        "title": "The hook system by itself",
        "command": " ".join(["python", "-m", "benchmarks.hook_cost", *given]),
        "machine": machine,
        "versions": describe_versions(("torch", "tensordict", "numpy", "gymnasium")),
        "config": to_plain(CONFIG),
        "rounds": options.rounds,
        "figures": _over_processes([process["figures"] for process in processes]),
        "steps": _over_processes([process["steps"] for process in processes]),
    }
    print("\n".join(summary(content)))
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (options.results / "hook_cost.json").write_text(text + "\n", encoding="utf-8")
    print(write_report(options.results))
    return 0 if all(line.endswith("**met**") for line in summary(content)) else 1


def _over_processes(processes: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """The median of each figure, and what it was in each process."""
    each = {name: [process[name] for process in processes] for name in processes[0]}
    return {
        name: {"median": statistics.median(values), "each": values} for name, values in each.items()
    }


if __name__ == "__main__":
    sys.exit(main())
