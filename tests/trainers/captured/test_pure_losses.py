"""Tracing leaves nothing behind, and a loss that would be another one is not captured."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from trainers.captured.compared import Net, compare, data, trainer_of
from trainers.captured.line import refused

from hookrl.trainers import Trainer

pytestmark = pytest.mark.usefixtures("interpreted")


def left_over() -> Net:
    loss = Net()
    loss(data(1)[0])["loss_net"].backward()
    return loss


def test_gradients_from_before_are_learned_from_once() -> None:
    assert compare(make=left_over) is None


def test_gradients_that_a_hook_adds_are_learned_from() -> None:
    def add(trainer: Trainer) -> None:
        batch = data(1)[0]
        trainer.register_op(
            "pre_optim_steps", lambda: trainer.loss_module(batch)["loss_net"].backward()
        )

    assert compare(add) is None


def first_layer(loss: Net) -> torch.optim.Optimizer:
    return torch.optim.Adam(loss.net[0].parameters(), lr=0.05)


def test_parameters_without_an_optimizer_are_left_as_they_are() -> None:
    loss = Net()
    trainer = trainer_of(loss, compile=True, optimizer=first_layer(loss))
    trainer.train()
    assert refused(trainer) is None
    assert all(parameter.grad is None for parameter in loss.parameters())
    copy.deepcopy(loss)
    assert compare(optimizer=first_layer) is None


class Averaged(Net):
    def forward(self, batch: Any) -> TensorDict:
        self.shift = 0.9 * self.shift + 0.1
        return super().forward(batch)


class Counting(Net):
    calls = 0

    def forward(self, batch: Any) -> TensorDict:
        self.calls += 1
        self.scale = 1 / self.calls
        return super().forward(batch)


class Remembering(Net):
    def forward(self, batch: Any) -> TensorDict:
        self.net.last = batch["observation"].mean()
        return super().forward(batch)


class Chancy(Net):
    def forward(self, batch: Any) -> TensorDict:
        losses = super().forward(batch)
        return losses.apply(lambda loss: loss * (random.random() + np.random.rand()))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Averaged, "a forward pass assigns Averaged.shift,"),
        (Counting, "a forward pass assigns Counting.calls,"),
        (Remembering, "a forward pass assigns Sequential.last,"),
        (Chancy, "random numbers of Python or NumPy"),
    ],
)
def test_a_loss_that_keeps_something_is_not_captured(make: type[Net], reason: str) -> None:
    def seed(trainer: Trainer) -> None:
        def start() -> None:
            random.seed(0)
            np.random.seed(0)

        trainer.register_op("batch_process", lambda batch: start(), once=True)

    why = compare(seed, make)
    assert reason in str(why)
