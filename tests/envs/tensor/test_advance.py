"""`advance`: pure, the same as `step`, and captured as one graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from envs.tensor.twins import NAMES, random_actions

from hookrl.envs.tensor import CartPole, Pendulum, State, TensorEnv, Transition, make

every_environment = pytest.mark.parametrize("name", NAMES)


def short(name: str, num_envs: int = 6) -> TensorEnv:
    env = make(name, num_envs, max_episode_steps=7)
    env.reset(seed=0)
    return env


@pytest.fixture(scope="module")
def compiler() -> None:
    """Skip where torch.compile does not find what it needs."""
    try:
        torch.compile(lambda x: x + 1, fullgraph=True)(torch.zeros(3))
    except Exception as error:
        reason = str(error).partition("\n")[0]
        pytest.skip(f"no C++ compiler works for torch.compile: {reason}")


@every_environment
def test_advancing_by_hand_is_stepping(name: str) -> None:
    env, by_hand = short(name), short(name)
    state, rng = by_hand.state, np.random.default_rng(0)
    for _ in range(20):
        actions = random_actions(env, rng)
        observation, reward, terminated, truncated, infos = env.step(actions)
        after = by_hand.advance(state, actions, by_hand.draw_noise())
        pairs = [
            (after.observation, observation),
            (after.final_observation, infos["final_obs"]),
            (after.reward, reward),
            (after.terminated, terminated),
            (after.truncated, truncated),
            (after.done, infos["_final_obs"]),
            (after.state.physics, env.state.physics),
            (after.state.steps, env.state.steps),
        ]
        assert all(torch.equal(one, other) for one, other in pairs)
        state = after.state


@every_environment
def test_advancing_changes_neither_its_inputs_nor_the_environments(name: str) -> None:
    env = short(name)
    inputs = (env.state, random_actions(env, np.random.default_rng(0)), env.draw_noise())
    before, generator = env.state, env.state_dict()["generator"]
    copies = [part.clone() for part in (*inputs[0], *inputs[1:])]
    first, second = env.advance(*inputs), env.advance(*inputs)
    assert all(map(torch.equal, (*inputs[0], *inputs[1:]), copies))
    assert all(map(torch.equal, flat(first), flat(second)))
    assert all(map(torch.equal, env.state, before))
    assert torch.equal(env.state_dict()["generator"], generator)


def test_a_rollout_can_be_taken_out_and_its_end_put_back() -> None:
    env, stepped = short("CartPole-v1"), short("CartPole-v1")
    actions, state = torch.tensor([0, 1, 0, 1, 0, 1]), env.state
    for noise in env.draw_noise(20):
        state = env.advance(state, actions, noise).state
        stepped.step(actions)
    env.state = state
    assert torch.equal(env.step(actions)[0], stepped.step(actions)[0])


def test_only_what_ended_takes_its_new_beginning_from_the_noise() -> None:
    env = CartPole(2)
    state = State(torch.tensor([[0.0] * 4, [0, 0, 0.2, 3]]), torch.tensor([5, 5]).int())
    noise = torch.tensor([[0.0] * 4, [0.5, 0.25, 0.75, 0]])
    after = env.advance(state, torch.tensor([1, 1]), noise)
    assert after.done.tolist() == [False, True]
    torch.testing.assert_close(after.observation[1], torch.tensor([0, -0.025, 0.025, -0.05]))
    assert torch.equal(after.observation[0], after.final_observation[0])
    assert after.final_observation[1, 2] > 0.2095
    assert after.state.steps.tolist() == [6, 0]


def test_the_torque_can_be_learned_through_the_dynamics() -> None:
    env = Pendulum(2)
    env.reset(seed=0)
    torque = torch.zeros(2, 1, requires_grad=True)
    after = env.advance(env.state, torque, env.draw_noise())
    after.final_observation[:, 2].sum().backward()
    torch.testing.assert_close(torque.grad, torch.full((2, 1), 3 * 0.05))


@every_environment
def test_a_rollout_with_a_policy_is_one_graph(name: str) -> None:
    env = short(name)
    weights = torch.randn(env.single_observation_space.shape[0], 3)

    def rollout(state: State, noise: torch.Tensor) -> tuple[State, torch.Tensor]:
        seen = []
        observation = env.observe(state.physics)
        for step_noise in noise:
            scores = observation @ weights
            fits_box = isinstance(env, Pendulum)
            action = scores[:, :1].tanh() if fits_box else (scores[:, 0] > 0).long()
            after = env.advance(state, action, step_noise)
            state, observation = after.state, after.observation
            seen.append(after.final_observation)
        return state, torch.stack(seen)

    inputs = (env.state, env.draw_noise(4))
    captured = torch.compile(rollout, fullgraph=True, backend="eager")
    assert all(map(torch.equal, flat(captured(*inputs)), flat(rollout(*inputs))))


@pytest.mark.usefixtures("compiler")
@every_environment
def test_captured_it_computes_the_same(name: str) -> None:
    env = short(name)
    captured = torch.compile(env.advance, fullgraph=True, dynamic=False)
    rng, ended = np.random.default_rng(0), 0
    for _ in range(50):
        inputs = (env.state, random_actions(env, rng), env.draw_noise())
        expected = env.advance(*inputs)
        for one, other in zip(flat(captured(*inputs)), flat(expected), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        env.state = expected.state
        ended += int(expected.done.sum())
    assert ended >= 6 * 7


def flat(value: State | Transition | tuple[Any, ...]) -> list[torch.Tensor]:
    """The tensors inside."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]
