"""A captured step again, for as long as it can differ from the last only in what is prepared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.hooks.registration import Registration
from hookrl.trainers.captured.traced import TracedStep
from hookrl.trainers.step import StepHost, prepare


def report_refusal(
    trainer: StepHost, guards: Iterable[Registration], losses: TensorDictBase, index: int
) -> None:
    """Have guards say what is wrong with a step that was not taken."""
    for guard in guards:
        guard.op(losses, trainer.clip_grad_norm, trainer.clip_norm, index)


class Repeat:
    """Carries out a step as the one before it in the same batch.

    A graph leaves nothing in the processor's caches, and whatever is looked at between two of them
    has to be fetched from memory, so this looks at little.

    Args:
        trainer: whose step it is.
        inputs: hooks, and the attributes in which they leave what they prepared.
        guards: may refuse the step, and then say why.
    """

    __slots__ = ("_guards", "_inputs", "_prepare_calls", "_trainer", "leaves", "step")

    def __init__(
        self,
        trainer: StepHost,
        inputs: Sequence[tuple[Any, str]],
        guards: Sequence[Registration],
    ) -> None:
        self._trainer = trainer
        self._prepare_calls = trainer.prepare_calls
        self._inputs = inputs
        self._guards = guards
        self.step: TracedStep
        """The graph."""
        self.leaves: list[torch.Tensor]
        """What it takes behind the inputs."""

    def run(self, index: int) -> bool:
        """Carry out step `index`; False if there was nothing left to learn from."""
        trainer, step = self._trainer, self.step
        try:
            prepare(self._prepare_calls, trainer)
        except StopIteration:
            return False
        own = []
        for owner, name in self._inputs:
            tensor = getattr(owner, name)
            if tensor is None:
                return False
            own.append(tensor)
        if not step.run(own + self.leaves):
            report_refusal(trainer, self._guards, step.losses(), index)
        trainer.count_captured_step(step.names, step.vector, step.losses)
        return True
