"""A trainer is freed with its last user, and what it holds with it: a buffer may be all memory."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from toys import make_trainer

from hookrl.configs import DQNConfig, PPOConfig, ReplayConfig, SACConfig
from hookrl.trainers import DQNTrainer, PPOTrainer, SACTrainer

REPLAY = {"replay": ReplayConfig(capacity=100, batch_size=4, learning_starts=8)}
DQN = DQNTrainer, DQNConfig(env="CartPole-v1", total_frames=64, **REPLAY)
SAC = SACTrainer, SACConfig(env="Pendulum-v1", total_frames=16, **REPLAY)
PPO = PPOTrainer, PPOConfig(env="CartPole-v1", total_frames=64, num_envs=2, steps_per_env=16)
CAPTURED = DQNTrainer, dataclasses.replace(DQN[1], compile=True)


@pytest.fixture(autouse=True)
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def parts(trainer: Any) -> list[weakref.ref[Any]]:
    held = trainer.collector, trainer.loss_module, trainer.replay_buffer, trainer.hooks
    return [weakref.ref(part) for part in (trainer, *held) if part is not None]


def still_there(found: list[weakref.ref[Any]]) -> list[Any]:
    return [part() for part in found if part() is not None]


@pytest.mark.parametrize(
    ("kind", "config"), [PPO, DQN, SAC, CAPTURED], ids=["ppo", "dqn", "sac", "captured"]
)
def test_a_trainer_is_freed_with_its_last_user(kind: Any, config: Any) -> None:
    trainer = kind.from_config(dataclasses.replace(config, progress_bar=False))
    trainer.train()
    assert trainer.optim_steps
    found = parts(trainer)
    del trainer
    assert not still_there(found)


def test_a_trainer_that_never_trained_is_freed_with_its_last_user() -> None:
    trainer = make_trainer(1)
    found = parts(trainer)
    del trainer
    assert not still_there(found)


def test_a_trainer_that_failed_is_freed_with_its_error() -> None:
    def fail() -> None:
        raise RuntimeError("of the hook")

    trainer = make_trainer(1)
    trainer.register_op("post_steps", fail)
    found = parts(trainer)
    with pytest.raises(RuntimeError, match="of the hook") as caught:
        trainer.train()
    del trainer
    assert still_there(found)
    del caught
    assert not still_there(found)


def test_hooks_outlive_their_trainer() -> None:
    trainer = make_trainer(2)
    trainer.train()
    hook = trainer.modules["optimizer"]
    del trainer
    assert hook.state_dict()
