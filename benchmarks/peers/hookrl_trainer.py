"""hookrl, as a config makes it: all its normal hooks, nothing written."""

from __future__ import annotations

from typing import Any

from benchmarks.clock import Clock
from benchmarks.work import Policy
from hookrl.configs import RunConfig
from sota.sides import check_captured, last_policy, make_trainer


def train(config: RunConfig, clock: Clock) -> Policy:
    """Train with hookrl."""
    trainer: Any = make_trainer(config)
    trainer.register_op("post_steps", lambda: clock.tick(trainer.collected_frames), name="clock")
    clock.start()
    trainer.train()
    clock.stop(trainer.collected_frames)
    check_captured(trainer)
    act, view = last_policy(trainer)
    return Policy(act, view)
