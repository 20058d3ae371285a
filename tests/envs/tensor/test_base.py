"""Gymnasium's vector API over tensors: time limits, resets, what is handed out, what is refused."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from envs.tensor.twins import NAMES, random_actions
from gymnasium.vector import AutoresetMode, VectorEnv

from hookrl.envs.tensor import CartPole, MountainCar, Pendulum, State, TensorEnv, make
from hookrl.errors import InvalidType, InvalidValue

every_environment = pytest.mark.parametrize("name", NAMES)
every_mode = pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])

FALLING = torch.tensor([0.0, 0.0, 0.2, 3.0])
"""A pole that falls beyond 12° with the next step."""


def begun(name: str, num_envs: int = 3, **options: Any) -> TensorEnv:
    env = make(name, num_envs, **options)
    env.reset(seed=0)
    return env


def with_one_falling(**options: Any) -> CartPole:
    """Three poles, of which the second falls with the next step."""
    env = CartPole(3, **options)
    env.reset(seed=0)
    physics, steps = env.state
    physics[1] = FALLING
    env.state = State(physics, steps + torch.tensor([7, 8, 9], dtype=torch.int32))
    return env


def any_actions(env: TensorEnv) -> torch.Tensor:
    return random_actions(env, np.random.default_rng(0))


# ---------------------------------------------------------------- shapes


@every_environment
@every_mode
@pytest.mark.parametrize("num_envs", [1, 4096])
def test_everything_has_the_shape_and_dtype_that_the_spaces_say(
    name: str, mode: AutoresetMode, num_envs: int
) -> None:
    env = begun(name, num_envs, autoreset_mode=mode)
    observation, reward, terminated, truncated, _ = env.step(any_actions(env))
    assert isinstance(env, VectorEnv)
    assert observation.shape == env.observation_space.shape
    assert env.observation_space.contains(observation.numpy())
    assert (observation.dtype, reward.dtype) == (torch.float32, torch.float32)
    assert (terminated.dtype, truncated.dtype) == (torch.bool, torch.bool)
    assert reward.shape == terminated.shape == truncated.shape == (num_envs,)


@every_environment
def test_a_process_that_computes_in_float64_changes_nothing(name: str) -> None:
    plain = begun(name)
    expected = plain.step(any_actions(plain))
    torch.set_default_dtype(torch.float64)
    try:
        env = begun(name)
        got = env.step(any_actions(env))
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(got[:4], expected[:4], strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


# ---------------------------------------------------------------- time limits


@every_environment
@every_mode
def test_an_episode_is_truncated_at_its_last_step_and_never_before(
    name: str, mode: AutoresetMode
) -> None:
    env = begun(name, 2, autoreset_mode=mode)
    limit = gym.spec(name).max_episode_steps
    beginning, actions = env.state.physics, any_actions(env)
    truncated_at = []
    for step in range(1, 2 * limit + 1):
        _, _, terminated, truncated, _ = env.step(actions)
        assert not terminated.any()
        if truncated.any():
            assert truncated.all()
            truncated_at.append(step)
            if mode is AutoresetMode.DISABLED:
                env.reset(options={"reset_mask": truncated})
        env.state = State(beginning, env.state.steps)  # or a pole would fall before its time
    assert truncated_at == [limit, 2 * limit]


def test_the_time_limit_can_be_another() -> None:
    env = MountainCar(1, max_episode_steps=3)
    env.reset(seed=0)
    flags = [env.step(torch.tensor([1]))[3].item() for _ in range(7)]
    assert flags == [False, False, True, False, False, True, False]


def test_each_environment_counts_its_own_steps() -> None:
    env = with_one_falling()
    env.step(torch.tensor([0, 1, 0]))
    assert env.state.steps.tolist() == [8, 0, 10]


def test_a_fall_at_the_last_step_is_both_as_in_gymnasium() -> None:
    env = with_one_falling(max_episode_steps=9)
    _, _, terminated, truncated, _ = env.step(torch.tensor([0, 1, 0]))
    assert terminated.tolist() == [False, True, False]
    assert truncated.tolist() == [False, True, True]


# ---------------------------------------------------------------- resets


def test_in_same_step_mode_what_ended_begins_anew_and_shows_its_end_in_infos() -> None:
    env = with_one_falling()
    before = env.state
    observation, reward, terminated, _, infos = env.step(torch.tensor([0, 1, 0]))
    assert terminated.tolist() == [False, True, False]
    assert (observation[1].abs() <= 0.05).all()
    fallen, _, _ = env.dynamics(before.physics, torch.tensor([0, 1, 0]))
    assert torch.equal(infos["final_obs"], fallen)
    assert infos["_final_obs"].tolist() == [False, True, False]
    assert torch.equal(observation[[0, 2]], fallen[[0, 2]])
    assert reward.tolist() == [1, 1, 1]


def test_in_disabled_mode_nothing_begins_anew_by_itself() -> None:
    env = with_one_falling(autoreset_mode=AutoresetMode.DISABLED)
    observation, _, terminated, _, infos = env.step(torch.tensor([0, 1, 0]))
    assert terminated.tolist() == [False, True, False]
    assert observation[1, 2] > 0.2095
    assert infos == {}
    assert env.state.steps.tolist() == [8, 9, 10]


@every_environment
def test_both_modes_step_alike_until_an_episode_ends(name: str) -> None:
    one, other = begun(name), begun(name, autoreset_mode=AutoresetMode.DISABLED)
    for _ in range(5):
        actions = any_actions(one)
        for left, right in zip(one.step(actions)[:4], other.step(actions)[:4], strict=True):
            assert torch.equal(left, right)


@every_environment
@every_mode
def test_a_masked_reset_begins_only_what_it_names(name: str, mode: AutoresetMode) -> None:
    env = begun(name, autoreset_mode=mode)
    env.step(any_actions(env))
    before = env.state
    mask = torch.tensor([True, False, True])
    observation, infos = env.reset(options={"reset_mask": mask})
    after = env.state
    assert after.steps.tolist() == [0, 1, 0]
    assert torch.equal(after.physics[1], before.physics[1])
    assert not (after.physics == before.physics).all(dim=1)[mask].any()
    assert torch.equal(observation, env.observe(after.physics))
    assert infos == {}


def test_an_empty_mask_resets_nothing() -> None:
    env = begun("Pendulum-v1")
    before = env.state
    env.reset(options={"reset_mask": torch.zeros(3, dtype=torch.bool)})
    assert torch.equal(env.state.physics, before.physics)


def test_the_metadata_say_how_it_resets() -> None:
    assert CartPole().metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    disabled = CartPole(autoreset_mode=AutoresetMode.DISABLED)
    assert disabled.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert CartPole().metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


# ---------------------------------------------------------------- what is handed out


@every_environment
@every_mode
def test_whatever_is_done_to_what_was_handed_out_the_episodes_go_on(
    name: str, mode: AutoresetMode
) -> None:
    one, other = begun(name, autoreset_mode=mode), begun(name, autoreset_mode=mode)
    shown, _ = other.reset(seed=0)
    one.reset(seed=0)
    shown.zero_()
    for _ in range(4):
        actions = any_actions(one)
        left, right = one.step(actions), other.step(actions.clone())
        for part, same in zip(left[:4], right[:4], strict=True):
            assert torch.equal(part, same)
        for part in (*right[:4], *right[4].values(), *other.state):
            part.zero_()


@every_environment
@every_mode
def test_what_was_handed_out_is_never_written_again(name: str, mode: AutoresetMode) -> None:
    env = begun(name, autoreset_mode=mode)
    outcome = env.step(any_actions(env))
    handed_out = [*outcome[:4], *outcome[4].values()]
    copies = [part.clone() for part in handed_out]
    for _ in range(3):
        env.step(any_actions(env))
    env.reset()
    assert all(map(torch.equal, handed_out, copies))


def test_actions_that_require_gradients_leave_none_in_the_state() -> None:
    env = Pendulum(2)
    env.reset(seed=0)
    observation, reward, *_ = env.step(torch.zeros(2, 1, requires_grad=True))
    assert not observation.requires_grad
    assert not reward.requires_grad
    assert not env.state.physics.requires_grad


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("actions", "error", "got"),
    [
        (torch.zeros(3), InvalidType, "torch.float32 [3] on cpu"),
        (torch.zeros(3, dtype=torch.bool), InvalidType, "torch.bool [3] on cpu"),
        (torch.zeros(3, dtype=torch.uint8), InvalidType, "torch.uint8 [3] on cpu"),
        (torch.zeros(3, 1, dtype=torch.int64), InvalidValue, "torch.int64 [3, 1] on cpu"),
        (torch.zeros(2, dtype=torch.int64), InvalidValue, "torch.int64 [2] on cpu"),
        (torch.zeros(3, dtype=torch.int64, device="meta"), InvalidValue, "torch.int64 [3] on meta"),
        (np.zeros(3, dtype=np.int64), InvalidType, "ndarray"),
        ([0, 1, 0], InvalidType, "list"),
    ],
)
def test_actions_that_do_not_fit_a_discrete_space_are_refused(
    actions: Any, error: type[Exception], got: str
) -> None:
    env = begun("CartPole-v1")
    before = env.state
    with pytest.raises(error) as caught:
        env.step(actions)
    assert str(caught.value) == (
        f"actions for CartPole: got {got}, expected torch.int64 or torch.int32 [3] on cpu."
    )
    assert torch.equal(env.state.physics, before.physics)


@pytest.mark.parametrize(
    ("actions", "error"),
    [
        (torch.zeros(3), InvalidValue),
        (torch.zeros(3, 1, dtype=torch.float64), InvalidType),
        (torch.zeros(3, 1, dtype=torch.int64), InvalidType),
    ],
)
def test_actions_that_do_not_fit_a_box_are_refused(actions: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"actions for Pendulum: got .*, expected torch.float32 \[3, 1"):
        begun("Pendulum-v1").step(actions)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
@pytest.mark.parametrize("name", ["Acrobot-v1", "CartPole-v1", "MountainCar-v0"])
def test_integers_of_either_width_are_actions(name: str, dtype: torch.dtype) -> None:
    env, other = begun(name), begun(name)
    actions = torch.tensor([0, 1, 0])
    assert torch.equal(env.step(actions)[0], other.step(actions.to(dtype))[0])


def test_a_torque_beyond_the_bounds_is_clipped() -> None:
    env, other = begun("Pendulum-v1", 2), begun("Pendulum-v1", 2)
    inside = env.step(torch.tensor([[2.0], [-2.0]]))
    beyond = other.step(torch.tensor([[5.0], [-1e9]]))
    assert all(map(torch.equal, inside[:4], beyond[:4]))


@every_environment
def test_a_step_before_the_first_reset_is_refused(name: str) -> None:
    env = make(name, 2)
    with pytest.raises(InvalidValue, match=r"has not begun an episode: expected reset\(\) first"):
        env.step(any_actions(env))


def test_a_mask_before_the_first_reset_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"expected reset\(\) first, without a mask"):
        CartPole(1).reset(options={"reset_mask": torch.ones(1, dtype=torch.bool)})


@pytest.mark.parametrize(
    ("mask", "error", "got"),
    [
        (torch.ones(2, dtype=torch.bool), InvalidValue, "torch.bool [2] on cpu"),
        (torch.ones(3), InvalidType, "torch.float32 [3] on cpu"),
        (np.ones(3, dtype=bool), InvalidType, "ndarray"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask: Any, error: type[Exception], got: str) -> None:
    env = begun("CartPole-v1")
    with pytest.raises(error) as caught:
        env.reset(options={"reset_mask": mask})
    assert str(caught.value) == (
        f"reset_mask for CartPole: got {got}, expected torch.bool [3] on cpu."
    )


def test_a_refused_reset_leaves_the_generator_alone() -> None:
    env, other = begun("CartPole-v1"), begun("CartPole-v1")
    with pytest.raises(InvalidType):
        env.reset(seed=5, options={"reset_mask": torch.ones(3)})
    assert torch.equal(env.reset()[0], other.reset()[0])


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidValue) as caught:
        CartPole().reset(options={"reset_masks": None})
    assert str(caught.value) == (
        "unknown option 'reset_masks' (did you mean 'reset_mask'?) in CartPole.reset: expected "
        "reset_mask."
    )


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        ([1, 2], InvalidType, "seed=[1, 2]: expected one integer, which all environments are"),
        (0.5, InvalidType, "seed=0.5: expected one integer"),
        (-1, InvalidValue, "seed=-1: expected an integer from 0 to 2**64 - 1."),
        (2**64, InvalidValue, "seed=18446744073709551616: expected an integer from 0"),
    ],
)
def test_what_is_no_seed_is_refused(seed: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        CartPole().reset(seed=seed)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs=0: expected at least 1."),
        ({"max_episode_steps": 0}, "max_episode_steps=0: expected at least 1."),
        (
            {"autoreset_mode": AutoresetMode.NEXT_STEP},
            "autoreset_mode=AutoresetMode.NEXT_STEP: expected one of AutoresetMode.SAME_STEP, "
            "AutoresetMode.DISABLED.",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        CartPole(**arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("state", "error", "what"),
    [
        (State(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int32)), InvalidValue, "physics"),
        (State(torch.zeros(3, 4), torch.zeros(2, dtype=torch.int32)), InvalidValue, "steps"),
        (State(torch.zeros(3, 4), torch.zeros(3)), InvalidType, "steps"),
        (
            State(torch.zeros(3, 4).double(), torch.zeros(3, dtype=torch.int32)),
            InvalidType,
            "physics",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    state: State, error: type[Exception], what: str
) -> None:
    env = begun("CartPole-v1")
    before = env.state
    with pytest.raises(error, match=f"{what} of the state for CartPole: got"):
        env.state = state
    assert torch.equal(env.state.physics, before.physics)
