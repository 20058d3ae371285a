"""What overlapped collection saves: ``taskset -c 0,1 python -m benchmarks.overlap``.

PPO, eager and captured, with and without ``overlap_collection``, in turns, on

- HalfCheetah-v5, whose simulator runs in the process of the trainer, with the settings of
  `benchmarks.works`;
- a CartPole whose steps take two milliseconds longer, in processes of their own: one that waits for
  them, as for a machine, and one that computes meanwhile, as a simulator does.

The figure is the median time of a batch, from one that came in to the next; of the first batches,
in which graphs are made, none counts. Both processors must be free.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Any, NamedTuple

import gymnasium as gym

from benchmarks.markdown import table
from benchmarks.works.ppo_halfcheetah import PPO_HALFCHEETAH
from hookrl import PPOConfig, PPOTrainer

STEP_SECONDS = 0.002
WARM_UP = 3
"""Batches that do not count."""
BATCHES = 6
ROUNDS = 3


class Slow(gym.Wrapper[Any, Any, Any, Any]):
    """Its steps take two milliseconds longer.

    Args:
        env: what is stepped.
        busy: whether it computes meanwhile, or waits.
    """

    def __init__(self, env: gym.Env[Any, Any], busy: bool) -> None:
        super().__init__(env)
        self.busy = busy

    def step(self, action: Any) -> Any:
        """Step at last."""
        until = time.perf_counter() + STEP_SECONDS
        if not self.busy:
            time.sleep(STEP_SECONDS)
        while time.perf_counter() < until:
            pass
        return self.env.step(action)


def make_slow(busy: bool = False) -> gym.Env[Any, Any]:
    """A CartPole that is slow."""
    return Slow(gym.make("CartPole-v1"), busy)


gym.register("SlowCartPole-v0", make_slow)  # type: ignore[arg-type]
_SLOW = PPOConfig(
    env="SlowCartPole-v0",
    vectorization_mode="async",
    num_envs=8,
    steps_per_env=128,
    epochs=10,
    minibatches=32,
)
WORKS: dict[str, Any] = {
    "HalfCheetah-v5": PPO_HALFCHEETAH.config,
    "8 environments that wait 2 ms": _SLOW,
    "1 environment that computes 2 ms": dataclasses.replace(
        _SLOW, env_kwargs={"busy": True}, num_envs=1
    ),
}


class Batch(NamedTuple):
    """When a batch came in, was learned from, and the next came in: seconds of one clock."""

    start: float
    learned: float
    end: float


def train(config: PPOConfig, batches: int, **changes: Any) -> list[Batch]:
    """Train on so many batches; return when each was there, those of the beginning left out."""
    frames = config.num_envs * config.steps_per_env * (WARM_UP + batches + 1)
    quiet: dict[str, Any] = {"total_frames": frames, "progress_bar": False, "log_interval": 0}
    trainer = PPOTrainer.from_config(dataclasses.replace(config, **quiet, **changes))
    starts: list[float] = []
    learned: list[float] = []
    trainer.register_op(
        "batch_process", lambda batch: starts.append(time.perf_counter()), name="in", priority=-100
    )
    trainer.register_op(
        "post_steps", lambda: learned.append(time.perf_counter()), name="learned", priority=100
    )
    trainer.train()
    marks = zip(starts, learned, starts[1:], strict=False)
    return [Batch(*mark) for mark in marks][WARM_UP:]


def compare(config: PPOConfig, *, compile: bool, batches: int, rounds: int) -> list[list[Batch]]:
    """Return the batches without overlap and those with it; the two take turns."""
    sides: list[list[Batch]] = [[], []]
    for number in range(rounds):
        for overlap in (False, True) if number % 2 == 0 else (True, False):
            sides[overlap] += train(config, batches, compile=compile, overlap_collection=overlap)
    return sides


def row(work: str, compile: bool, sides: list[list[Batch]]) -> list[str]:
    """One row of the table: times of a batch in milliseconds, and the share that is saved."""
    whole = [1000 * statistics.median(b.end - b.start for b in side) for side in sides]
    learning = [1000 * statistics.median(b.learned - b.start for b in side) for side in sides]
    times = [
        f"{all_:.0f} ({part:.0f} + {all_ - part:.0f})"
        for all_, part in zip(whole, learning, strict=True)
    ]
    return [work, "captured" if compile else "eager", *times, f"{1 - whole[1] / whole[0]:.0%}"]


HEAD = ("work", "steps", "ms per batch (learning + waiting)", "overlapped", "saved")


def main() -> None:
    """Print the table."""
    lines = [
        row(work, compile, compare(config, compile=compile, batches=BATCHES, rounds=ROUNDS))
        for work, config in WORKS.items()
        for compile in (False, True)
    ]
    print("\n".join(table(HEAD, lines, text_columns=2)))


if __name__ == "__main__":
    main()
