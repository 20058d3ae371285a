"""Seeds decide everything, and a state holds all that the next step depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from envs.tensor.twins import NAMES, random_actions
from gymnasium.vector import AutoresetMode
from midway import through_a_checkpoint
from states import assert_same

from hookrl.collectors import VectorCollector
from hookrl.envs import snapshots
from hookrl.envs.tensor import CartPole, Pendulum, TensorEnv, make
from hookrl.errors import InvalidType, InvalidValue, MissingKey

every_environment = pytest.mark.parametrize("name", NAMES)
every_mode = pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])


def short(name: str, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> TensorEnv:
    """Three environments whose episodes are short enough for many resets."""
    return make(name, 3, max_episode_steps=7, autoreset_mode=mode)


def play(env: TensorEnv, steps: int, seed: int = 0) -> list[Any]:
    """All that a policy may see, with masked resets where nothing else resets."""
    rng, seen = np.random.default_rng(seed), []
    for _ in range(steps):
        *outcome, infos = env.step(random_actions(env, rng))
        seen.append([*outcome, infos.get("final_obs")])
        done = outcome[2] | outcome[3]
        if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and done.any():
            seen.append(env.reset(options={"reset_mask": done})[0])
    return seen


# ---------------------------------------------------------------- seeds


@every_environment
@every_mode
def test_equal_seeds_give_equal_streams(name: str, mode: AutoresetMode) -> None:
    one, other = short(name, mode), short(name, mode)
    assert_same(one.reset(seed=3)[0], other.reset(seed=3)[0])
    assert_same(play(one, 30), play(other, 30))


@every_environment
def test_other_seeds_give_other_streams(name: str) -> None:
    env = make(name, 500)
    first, second = (env.reset(seed=seed)[0] for seed in (0, 1))
    assert len({tuple(row) for row in [*first.tolist(), *second.tolist()]}) == 1000


@every_environment
def test_a_reset_without_a_seed_goes_on_in_the_stream(name: str) -> None:
    one, other = short(name), short(name)
    first = one.reset(seed=0)[0]
    other.reset(seed=0)
    second = one.reset()[0]
    assert not torch.equal(first, second)
    assert_same(second, other.reset()[0])


def test_without_any_seed_two_batches_differ() -> None:
    one, other = CartPole(2), CartPole(2)
    assert not torch.equal(one.reset()[0], other.reset()[0])


@every_environment
@every_mode
def test_the_global_generator_is_neither_used_nor_touched(name: str, mode: AutoresetMode) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    env, other = short(name, mode), short(name, mode)
    env.reset(seed=0)
    seen = play(env, 20)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    other.reset(seed=0)
    assert_same(play(other, 20), seen)


def test_noise_of_many_steps_is_the_noise_of_each_step() -> None:
    one, other = CartPole(3), CartPole(3)
    one.reset(seed=0)
    other.reset(seed=0)
    block = one.draw_noise(5)
    assert block.shape == (5, 3, 4)
    assert torch.equal(block, torch.stack([other.draw_noise() for _ in range(5)]))


# ---------------------------------------------------------------- states


@every_environment
@every_mode
def test_a_state_goes_on_in_the_middle_of_episodes_to_the_bit(
    name: str, mode: AutoresetMode
) -> None:
    one, other = short(name, mode), short(name, mode)
    one.reset(seed=0)
    play(one, 10)
    state = through_a_checkpoint(one.state_dict())
    expected = play(one, 30, seed=1)
    other.reset(seed=9)
    play(other, 3)
    other.load_state_dict(state)
    assert_same(play(other, 30, seed=1), expected)
    assert_same(other.state_dict(), one.state_dict())


def test_a_state_does_not_change_when_the_episodes_go_on() -> None:
    env = short("Pendulum-v1")
    env.reset(seed=0)
    state = env.state_dict()
    copy = {key: value.clone() for key, value in state.items()}
    play(env, 9)
    assert_same(state, copy)
    env.load_state_dict(state)
    play(env, 9)
    assert_same(state, copy)


def test_a_state_from_before_the_first_reset_goes_on_there() -> None:
    one, other = CartPole(2), CartPole(2)
    other.reset(seed=0)
    other.load_state_dict(through_a_checkpoint(one.state_dict()))
    with pytest.raises(InvalidValue, match="has not begun an episode"):
        other.step(torch.zeros(2, dtype=torch.int64))
    assert_same(one.reset()[0], other.reset()[0])


def damaged(**changes: Any) -> dict[str, Any]:
    env = CartPole(2)
    env.reset(seed=1)
    state = {**env.state_dict(), **changes}
    return {key: value for key, value in state.items() if value is not ...}


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (damaged(steps=...), MissingKey, "the state for CartPole lacks 'steps'"),
        (damaged(extra=1), MissingKey, "has unexpected 'extra'"),
        (damaged(physics=torch.zeros(3, 4)), InvalidValue, "physics of the state for CartPole"),
        (damaged(steps=torch.zeros(2)), InvalidType, "steps of the state for CartPole"),
        (damaged(steps=None), InvalidType, "steps of the state for CartPole: got NoneType"),
        (damaged(physics=None), InvalidType, "physics of the state for CartPole: got NoneType"),
        (damaged(generator=torch.zeros(16, dtype=torch.uint8)), InvalidValue, "of another kind"),
        (damaged(generator=None), InvalidValue, "the generator's state for CartPole on cpu is"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(
    state: dict[str, Any], error: type[Exception], message: str
) -> None:
    env = CartPole(2)
    env.reset(seed=0)
    before = env.state_dict()
    with pytest.raises(error) as caught:
        env.load_state_dict(state)
    assert message in str(caught.value)
    assert_same(env.state_dict(), before)


# ---------------------------------------------------------------- snapshots and collectors


@every_environment
@every_mode
@pytest.mark.parametrize("steps", [0, 1, 25])
def test_a_snapshot_is_exact_and_goes_on_to_the_bit(
    name: str, mode: AutoresetMode, steps: int
) -> None:
    one, other = short(name, mode), short(name, mode)
    assert snapshots.snapshot_kind(one) == "exact"
    one.reset(seed=0)
    play(one, steps)
    state = through_a_checkpoint(snapshots.take(one))
    expected = play(one, 30, seed=1)
    snapshots.restore(other, state)
    assert_same(play(other, 30, seed=1), expected)


@every_environment
@every_mode
def test_a_collector_of_them_resumes_exactly(name: str, mode: AutoresetMode) -> None:
    def collector(seed: int) -> VectorCollector:
        return VectorCollector(short(name, mode), frames_per_batch=15, seed=seed)

    one, other = collector(0), collector(1)
    assert one.exact_resume == "exact"
    for _ in range(3):
        one.collect()
    other.collect()
    other.load_state_dict(through_a_checkpoint(one.state_dict()))
    for _ in range(3):
        left, right = one.collect(), other.collect()
        assert (left == right).all()


@every_mode
def test_a_collector_keeps_the_final_observations(mode: AutoresetMode) -> None:
    env = CartPole(8, autoreset_mode=mode)
    batch = VectorCollector(env, frames_per_batch=8 * 100, seed=0).collect()
    terminated = batch["next", "terminated"].squeeze(-1)
    final = batch["next", "observation"][terminated]
    assert len(final) > 20
    assert ((final[:, 0].abs() > 2.4) | (final[:, 2].abs() > 0.2094)).all()
    begun = batch["observation"][:, 1:][terminated[:, :-1]]
    assert (begun.abs() <= 0.05).all()


def test_a_collector_of_pendulums_bootstraps_through_their_time_limit() -> None:
    batch = VectorCollector(Pendulum(2), frames_per_batch=2 * 250, seed=0).collect()
    truncated = batch["next", "truncated"].squeeze(-1)
    assert truncated.nonzero().tolist() == [[0, 199], [1, 199]]
    assert not batch["next", "terminated"].any()
    jump = (batch["observation"][:, 200] - batch["next", "observation"][:, 199]).abs()
    assert (jump.sum(dim=-1) > 0.01).all()
