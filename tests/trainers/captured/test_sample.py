"""A captured step that gathers its sample of a replay buffer itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from states import assert_same
from trainers.captured.line import refused
from trainers.captured.runs_captured import build

interpreted = pytest.mark.usefixtures("interpreted")


def dqn_with(operation: Callable[[Any], None]) -> Any:
    """A captured run of DQN with one more operation, after it has trained."""
    trainer = build("dqn", compile=True)
    trainer.register_op("post_steps", lambda: operation(trainer), name="operation")
    trainer.train()
    assert refused(trainer) is None
    return trainer


@interpreted
@pytest.mark.parametrize(
    ("name", "captured"), [("dqn", True), ("sac", True), ("dqn, prioritized", False)]
)
def test_the_sample_is_part_of_the_graph_unless_it_is_drawn_by_priority(
    name: str, captured: bool
) -> None:
    trainer = build(name, compile=True)
    trainer.train()
    names = [registration.name for registration in trainer.step.captured]
    assert ("replay_buffer.sample" in names) is captured


@interpreted
def test_a_parameter_that_moves_is_noticed_behind_the_tables_of_the_buffer() -> None:
    moved = []

    def move(trainer: Any) -> None:
        if trainer.optim_steps == 5 and not moved:
            for parameter in trainer.loss_module.q_network.parameters():
                parameter.data = parameter.data.clone()
                moved.append(parameter)

    whole, other = dqn_with(lambda trainer: None), dqn_with(move)
    assert moved
    assert_same(dict(other.loss_module.state_dict()), dict(whole.loss_module.state_dict()))
