"""PPO's inner loop, ready to be run again and again: by the trainer, and written out by hand.

Batch, network, loss and optimizer are the same objects whoever runs the loop, so what differs is
who calls what. It is PPO on CartPole-v1 with eight environments of 128 steps, four epochs of four
minibatches, and two networks of 64×64.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import torch
from tensordict import TensorDictBase

from hookrl.clipping import clip_to_norm
from hookrl.configs import PPOConfig
from hookrl.fused_adam import step_and_clear
from hookrl.graph import Graph
from hookrl.hooks import TrainerHookBase
from hookrl.tensordicts import flattened, put, rows
from hookrl.trainers import PPOTrainer
from hookrl.trainers.metrics import RunningMeans

CONFIG = PPOConfig(
    env="CartPole-v1",
    total_frames=1024,  # one batch
    num_envs=8,
    steps_per_env=128,
    clip_value=None,
    anneal_learning_rate=False,  # it would have come to 0
    progress_bar=False,
)
STEPS = CONFIG.epochs * CONFIG.minibatches
"""In one inner loop."""


class NoOperation(TrainerHookBase):
    """A hook that does nothing, at any point, and may be captured."""

    capturable = True

    def register(self, trainer: Any, name: str, *, point: str = "post_optim") -> None:
        """Hang it on a point."""
        trainer.register_op(point, self, name=name)

    def __call__(self, *arguments: Any) -> None:
        """Do nothing."""


class InnerLoop:
    """A trainer that has collected a batch and learned from it once, with all hooks of PPO.

    Args:
        compile: whether its steps are captured.
        no_operations: hooks that do nothing, hung half and half on the points ``post_loss`` and
            ``post_optim``.
    """

    def __init__(self, *, compile: bool = False, no_operations: int = 0) -> None:
        config = dataclasses.replace(CONFIG, compile=compile)
        self.trainer = PPOTrainer.from_config(config)
        batches: list[TensorDictBase] = []
        self.trainer.register_op("pre_steps_log", batches.append, name="keep_batch")
        for number in range(no_operations):
            point = ("post_loss", "post_optim")[number % 2]
            NoOperation().register(self.trainer, f"nothing_{number}", point=point)
        self.trainer.train()
        (self.batch,) = batches
        self.minibatches: Any = self.trainer.modules["minibatches"]

    def begin(self) -> None:
        """Show the batch to who cuts it, as the trainer does before the loop."""
        self.minibatches.start(self.batch)

    def by_trainer(self) -> None:
        """The loop of the trainer, through its hooks."""
        self.trainer.optimize(self.batch)

    def by_hand(self) -> None:
        """The same operations as a script has them: no hooks, no points, no step object."""
        loss_module: Any = self.trainer.loss_module
        optimizer = self.trainer.optimizer
        parameters = [*loss_module.parameters()]
        means = RunningMeans()
        for indices in self._drawn():
            flat = flattened(self.batch.select(*loss_module.in_keys))
            for index in indices:
                losses = loss_module(rows(flat, index))
                total = losses["loss_objective"] + losses["loss_entropy"] + losses["loss_critic"]
                if not math.isfinite(total.item()):
                    raise FloatingPointError("the loss is not finite")
                total.backward()
                norm = clip_to_norm(parameters, CONFIG.max_grad_norm or 0.0)
                put(losses, "grad_norm", norm)
                step_and_clear(optimizer)
                means.add(losses.detach())

    def _drawn(self) -> list[tuple[torch.Tensor, ...]]:
        """The minibatches of all epochs, drawn at once, as the hook draws them."""
        generator, frames = self.minibatches._generator, self.batch.numel()
        return [
            torch.randperm(frames, generator=generator).tensor_split(CONFIG.minibatches)
            for _ in range(CONFIG.epochs)
        ]

    def bare_graph(self) -> Callable[[], None]:
        """The graphs that one loop runs, alone, with what they then received."""
        calls = self._graph_calls()

        def run() -> None:
            for graph, inputs in calls:
                graph.run(inputs)

        return run

    def graph_by_hand(self) -> Callable[[], None]:
        """The same graph in a loop that a script would have around it."""
        (graph, (_, *leaves)), *_ = self._graph_calls()

        def run() -> None:
            means: Any = 0.0
            for indices in self._drawn():
                for index in indices:
                    losses, permitted, *_ = graph.run([index, *leaves])
                    if not permitted:
                        raise FloatingPointError("the loss is not finite")
                    means = means + losses

        return run

    def _graph_calls(self) -> list[tuple[Graph, Sequence[torch.Tensor]]]:
        """Every call of a graph in one loop."""
        calls: list[tuple[Graph, Sequence[torch.Tensor]]] = []
        run = Graph.run

        def recorded(graph: Graph, inputs: Sequence[torch.Tensor]) -> Any:
            calls.append((graph, inputs))
            return run(graph, inputs)

        self.begin()
        with mock.patch.object(Graph, "run", recorded):
            self.by_trainer()
        if len(calls) != STEPS:
            raise RuntimeError(f"{len(calls)} graphs ran in {STEPS} steps: the step is eager.")
        return calls
