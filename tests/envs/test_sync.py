"""The serial vector environment does what gymnasium's does, with less around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from hookrl.envs.sync import SerialVectorEnv
from hookrl.errors import InvalidValue


class Nested(gym.Env[Any, Any]):
    """Observations in a dictionary, which take gymnasium's own way."""

    observation_space = gym.spaces.Dict({"x": gym.spaces.Box(-1, 1, (2,))})
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        return self._seen(), float(action), bool(self.np_random.random() < 0.2), False, {"a": 1}

    def _seen(self) -> dict[str, np.ndarray]:
        return {"x": self.np_random.uniform(-1, 1, 2).astype(np.float32)}


def limited(env_id: str) -> Callable[[], Any]:
    return lambda: TimeLimit(gym.make(env_id), 12)


MAKERS = {
    "discrete actions": limited("CartPole-v1"),
    "continuous actions": limited("Pendulum-v1"),
    "discrete observations": limited("FrozenLake-v1"),
    "nested observations": Nested,
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("num_envs", [1, 3])
def test_it_does_what_gymnasiums_does(maker: Callable[[], Any], num_envs: int) -> None:
    ours = SerialVectorEnv([maker] * num_envs)
    theirs = SyncVectorEnv([maker] * num_envs, autoreset_mode=AutoresetMode.DISABLED)
    envs, ended = (ours, theirs), 0
    for env in envs:
        env.action_space.seed(3)
    seen = [env.reset(seed=[*range(num_envs)])[0] for env in envs]
    np.testing.assert_equal(seen[0], seen[1])
    for _ in range(60):
        actions = ours.action_space.sample()
        first, second = (env.step(actions)[:4] for env in envs)
        np.testing.assert_equal(first, second)
        done = first[2] | first[3]
        ended += int(done.sum())
        if done.any():
            after = [env.reset(options={"reset_mask": done})[0] for env in envs]
            np.testing.assert_equal(after[0], after[1])
    assert ended > num_envs


def test_what_a_step_returned_is_overwritten_by_the_next() -> None:
    env = SerialVectorEnv([MAKERS["continuous actions"]] * 2)
    env.reset(seed=0)
    *returned, _ = env.step(np.zeros((2, 1), np.float32))
    reward = returned[1].copy()
    *later, _ = env.step(np.ones((2, 1), np.float32))
    assert all(one is other for one, other in zip(returned, later, strict=True))
    assert (later[1] != reward).any()


def test_a_step_is_written_where_the_caller_wants_it() -> None:
    env, twin = (SerialVectorEnv([MAKERS["discrete actions"]] * 2) for _ in range(2))
    actions = np.array([0, 1])
    env.reset(seed=0)
    twin.reset(seed=0)
    rows = np.full((2, 4), np.nan, np.float32), np.zeros(2, np.float32), *np.zeros((2, 2), bool)
    ends = []
    for _ in range(20):
        ended = env.step_into(actions, *rows)
        *expected, _ = twin.step(actions)
        for row, value in zip(rows, expected, strict=True):
            np.testing.assert_array_equal(row, value.astype(row.dtype))
        assert ended == (rows[2] | rows[3]).any()
        ends.append(ended)
        if ended:
            mask = {"reset_mask": rows[2] | rows[3]}
            begun, wanted = (one.reset(options=mask)[0] for one in (env, twin))
            np.testing.assert_array_equal(begun, wanted)  # those that go on, too
    assert any(ends)


def test_it_writes_by_itself_only_what_is_one_array() -> None:
    assert SerialVectorEnv([MAKERS["continuous actions"]]).writes
    assert not SerialVectorEnv([Nested]).writes


@pytest.mark.parametrize("number", [1, 3])
def test_there_is_one_action_for_each_environment(number: int) -> None:
    env = SerialVectorEnv([MAKERS["discrete actions"]] * 2)
    env.reset(seed=0)
    with pytest.raises(InvalidValue, match=f"^{number} actions for 2 environments"):
        env.step(np.zeros(number, np.int64))


@pytest.mark.parametrize("kind", ["discrete actions", "continuous actions"])
def test_environments_get_actions_of_the_type_that_gymnasium_gives_them(kind: str) -> None:
    seen: list[Any] = []

    class Watching(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            seen.append(action)
            return super().step(action)

    fns = [lambda: Watching(MAKERS[kind]())]
    actions = None
    for env in (SerialVectorEnv(fns), SyncVectorEnv(fns)):
        env.reset(seed=0)
        actions = env.action_space.sample() if actions is None else actions
        env.step(actions)
    first, second = seen
    assert type(first) is type(second)
    assert first.dtype == second.dtype
    np.testing.assert_array_equal(first, second)
