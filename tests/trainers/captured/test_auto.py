"""Capturing is decided by what is planned."""

from __future__ import annotations

import warnings

import pytest
import torch
from toys import ListCollector, QuadraticLoss, make_batch
from trainers.captured.runs_captured import build

from hookrl.configs import PPOConfig
from hookrl.errors import InvalidValue
from hookrl.trainers import PPOTrainer, Trainer
from hookrl.trainers.captured import CapturedStep, captures
from hookrl.trainers.step import EagerStep


@pytest.mark.parametrize(("total_frames", "captured"), [(1024 * 1250, True), (1024 * 1249, False)])
def test_auto_captures_if_enough_steps_are_planned(total_frames: int, captured: bool) -> None:
    assert captures("auto", total_frames, 1024, 16) is captured


def test_whoever_says_so_decides() -> None:
    assert captures(True, 1, 1, 1)
    assert not captures(False, 10**9, 1, 1)


def test_a_trainer_goes_by_its_frames_and_steps() -> None:
    assert isinstance(build("dqn", compile="auto").step, EagerStep)
    many = build("dqn", compile="auto", total_frames=10**6)
    assert isinstance(many.step, CapturedStep)


@pytest.mark.parametrize("total_frames", [500, 10**6])
def test_so_do_tensor_environments(total_frames: int) -> None:
    config = PPOConfig(
        vectorization_mode="tensor", compile="auto", total_frames=total_frames, progress_bar=False
    )
    assert PPOTrainer.from_config(config).collector.compile is (total_frames > 500)


def test_what_auto_cannot_capture_is_no_warning() -> None:
    loss = QuadraticLoss()
    trainer = Trainer(
        collector=ListCollector([make_batch()]),
        total_frames=10**6,
        optim_steps_per_batch=10**6,
        loss_module=loss,
        optimizer=torch.optim.SGD(loss.parameters(), lr=0.1),
        progress_bar=False,
        compile="auto",
    )
    trainer.register_op("post_optim", trainer.end_inner_loop)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.train()
    assert isinstance(trainer.step, CapturedStep)
    assert "SGD" in (trainer.step.refused or "")


def test_another_word_is_refused() -> None:
    with pytest.raises(InvalidValue, match="compile='yes' in PPOConfig: expected true, false or"):
        PPOConfig(compile="yes")
    with pytest.raises(InvalidValue, match="compile='yes' for a Trainer: expected True, False or"):
        Trainer(
            collector=ListCollector([make_batch()]),
            total_frames=1,
            optim_steps_per_batch=1,
            loss_module=QuadraticLoss(),
            compile="yes",  # type: ignore[arg-type]
        )
