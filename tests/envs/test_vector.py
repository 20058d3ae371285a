"""Making vector environments out of what users have at hand."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
from counting import CountingEnv, makers, sync_env
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from hookrl.collectors import VectorCollector
from hookrl.envs import MissingDependency, make_env, make_vector_env
from hookrl.envs.tensor import CartPole
from hookrl.errors import InvalidType, InvalidValue


def test_an_id_becomes_as_many_copies_as_asked_for() -> None:
    env = make_vector_env("CartPole-v1", 3)
    assert env.num_envs == 3
    assert {sub.spec.id for sub in env.envs} == {"CartPole-v1"}


def test_environment_arguments_reach_every_copy() -> None:
    env = make_vector_env("Pendulum-v1", 2, {"g": 5.0})
    assert env.get_attr("g") == (5.0, 5.0)


def test_a_function_is_called_once_for_each_copy() -> None:
    env = make_vector_env(lambda: CountingEnv(0, [(1, "terminated")]), 2)
    assert env.envs[0] is not env.envs[1]


def test_a_list_of_functions_gives_one_environment_each() -> None:
    env = make_vector_env(makers())
    assert [sub.env_id for sub in env.envs] == [0, 1, 2]


def test_what_is_made_here_leaves_resetting_to_the_collector() -> None:
    env = make_vector_env("CartPole-v1")
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_ready_vector_environment_stays_as_it_is(mode: AutoresetMode) -> None:
    env = sync_env(mode)
    assert make_vector_env(env, 8) is env


def test_an_unknown_id_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidValue) as caught:
        make_vector_env("CartPol-v1")
    assert str(caught.value) == (
        "unknown environment 'CartPol-v1' (did you mean 'CartPole-v1'?): expected an id registered "
        "with gymnasium."
    )


def test_an_unknown_version_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidValue, match=r"did you mean 'CartPole-v"):
        make_env("CartPole-v99")


def test_an_id_that_is_no_id_is_refused_in_one_sentence() -> None:
    with pytest.raises(InvalidValue, match="the environment id 'Cart Pole!' cannot be used"):
        make_env("Cart Pole!")


def test_a_missing_package_is_named() -> None:
    def entry_point() -> Any:
        raise gym.error.DependencyNotInstalled("pip install simulator")

    gym.register("hookrl-test/Missing-v0", entry_point)
    try:
        with pytest.raises(MissingDependency, match="needs a package: pip install simulator"):
            make_env("hookrl-test/Missing-v0")
    finally:
        del gym.registry["hookrl-test/Missing-v0"]


@pytest.mark.parametrize("what", [42, [], ["CartPole-v1"], None])
def test_what_is_no_environment_is_refused(what: Any) -> None:
    with pytest.raises(InvalidType, match=f"env is a {type(what).__name__}: expected"):
        make_vector_env(what)


def test_a_single_environment_object_cannot_be_copied() -> None:
    with pytest.raises(InvalidType, match="expected an id, a function that makes one"):
        make_vector_env(CountingEnv(0, [(1, "terminated")]), 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_envs", [0, -1])
def test_less_than_one_environment_is_refused(num_envs: int) -> None:
    with pytest.raises(InvalidValue, match=f"num_envs={num_envs}: expected at least 1"):
        make_vector_env("CartPole-v1", num_envs)


def test_copies_in_processes_leave_resetting_to_the_collector_too() -> None:
    env = make_vector_env("CartPole-v1", 2, vectorization_mode="async")
    try:
        assert isinstance(env, AsyncVectorEnv)
        assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    finally:
        env.close()


def test_copies_in_processes_go_on_exactly() -> None:
    env = make_vector_env("CartPole-v1", 2, vectorization_mode="async")
    try:
        collector = VectorCollector(env, policy=None, frames_per_batch=10)
        assert collector.exact_resume == "exact"
    finally:
        env.close()


def test_an_environments_own_vectorised_form_is_used_with_its_arguments() -> None:
    env = make_vector_env(
        "CartPole-v1",
        3,
        {"sutton_barto_reward": True},
        vectorization_mode="vector_entry_point",
    )
    assert isinstance(env.unwrapped, CartPoleVectorEnv)
    assert env.num_envs == 3
    assert env.unwrapped._sutton_barto_reward


def test_tensor_environments_are_made_by_id() -> None:
    env = make_vector_env(
        "CartPole-v1", 3, {"max_episode_steps": 7}, vectorization_mode="tensor", device="cpu"
    )
    assert isinstance(env, CartPole)
    assert (env.num_envs, env.max_episode_steps, env.device.type) == (3, 7, "cpu")


def test_an_id_without_a_vectorised_form_is_refused_and_others_are_named() -> None:
    with pytest.raises(InvalidValue, match=r"'Acrobot-v1' has no vectorised form.*CartPole-v1"):
        make_vector_env("Acrobot-v1", 2, vectorization_mode="vector_entry_point")


@pytest.mark.parametrize("mode", ["vector_entry_point", "tensor"])
def test_functions_cannot_be_vectorised_by_their_id(mode: str) -> None:
    with pytest.raises(InvalidType, match=f"list with vectorization_mode='{mode}'.*expected an"):
        make_vector_env(makers(), vectorization_mode=mode)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InvalidValue, match="vectorization_mode='parallel': expected 'sync'"):
        make_vector_env("CartPole-v1", vectorization_mode="parallel")
