"""Tensor environments by name."""

from __future__ import annotations

import pytest
from envs.tensor.twins import NAMES

from hookrl.envs.tensor import CartPole, make
from hookrl.errors import InvalidValue, MissingKey


@pytest.mark.parametrize("name", NAMES)
def test_a_name_makes_its_environments(name: str) -> None:
    env = make(name, 5)
    assert env.num_envs == 5
    assert env.device.type == "cpu"
    assert type(env).__name__ == name.partition("-")[0]


def test_options_reach_the_environment() -> None:
    env = make("CartPole-v1", max_episode_steps=7)
    assert isinstance(env, CartPole)
    assert env.max_episode_steps == 7


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidValue) as caught:
        make("CartPol-v1")
    assert str(caught.value) == (
        "unknown tensor environment 'CartPol-v1' (did you mean 'CartPole-v1'?): expected one of "
        "Acrobot-v1, CartPole-v1, MountainCar-v0, Pendulum-v1."
    )


def test_an_unknown_argument_is_refused_with_the_nearest() -> None:
    with pytest.raises(MissingKey, match=r"'max_steps' \(did you mean 'max_episode_steps'\?\)"):
        make("CartPole-v1", max_steps=3)
