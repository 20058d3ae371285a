"""What is varied, over which values, and what cost is expected to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that there may be more or less of."""

    title: str
    """What is measured, in a sentence."""
    label: str
    """Of the axis."""
    unit: str
    """Of the speeds."""
    series: dict[str, tuple[int, ...]]
    """Ways to do it, each with the values that are measured."""
    exponent: float
    """Cost may grow with this power of the value, and no faster."""
    of_batch: bool = False
    """Whether it is the cost of a batch, which has more frames the larger the value is."""
    logarithmic: bool = True
    """Whether values are spaced by factors."""


_EAGER, _CAPTURED = "eager", "captured"
_ENVIRONMENTS = (1, 4, 16, 64, 256, 1024, 4096)
_WIDTHS = (32, 64, 128, 256, 512, 1024)
_ROWS = (10_000, 31_600, 100_000, 316_000, 1_000_000, 3_160_000, 10_000_000)
_HOOKS = (0, 10, 25, 50, 75, 100)

AXES: dict[str, Axis] = {
    "environments": Axis(
        title="PPO on CartPole, 32 steps of each environment in a batch, 4 epochs × 4 "
        "minibatches, 64×64 tanh; environments as tensors, and stepped one by one",
        label="environments",
        unit="frames/s",
        series={
            "tensors, eager": _ENVIRONMENTS,
            "tensors, captured": _ENVIRONMENTS,
            "one by one, eager": tuple(n for n in _ENVIRONMENTS if n <= 64),
        },
        exponent=1,
        of_batch=True,
    ),
    "width": Axis(
        title="PPO on CartPole, 8 environments × 128 steps, 4 epochs × 4 minibatches, two "
        "networks with two hidden layers of so many units",
        label="units of a hidden layer",
        unit="frames/s",
        series={_EAGER: _WIDTHS, _CAPTURED: _WIDTHS},
        exponent=2,
    ),
    "replay": Axis(
        title="A full replay buffer of CartPole's transitions: one of each of 8 environments is "
        "stored, and 8 samples of 256 are drawn, which is one update per frame",
        label="transitions in the buffer",
        unit="frames/s",
        series={"in memory": _ROWS, "in files": _ROWS, "prioritized, in memory": _ROWS},
        exponent=0.25,  # caches end, and a tree grows deeper
    ),
    "hooks": Axis(
        title="PPO on CartPole, 8 environments × 128 steps, 4 epochs × 4 minibatches, 64×64 tanh, "
        "with so many more hooks that do nothing in each optimization step",
        label="further hooks",
        unit="frames/s",
        series={_EAGER: _HOOKS, _CAPTURED: _HOOKS},
        exponent=1,
        logarithmic=False,
    ),
}
