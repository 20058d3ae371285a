"""Environments in other processes go on too, if a `WorkerEnv` is around them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from midway import MODES, Gauge, Player, assert_goes_on, through_a_checkpoint

from hookrl.envs import make_env, snapshots
from hookrl.errors import InvalidType, InvalidValue

# Fork, whatever others have set: torchrl sets spawn when it is imported, which takes seconds each.
processes = functools.partial(AsyncVectorEnv, context="fork")
every_mode = pytest.mark.parametrize("mode", MODES)


def cartpole() -> Any:
    return snapshots.WorkerEnv(make_env("CartPole-v1"))


def gauge() -> Any:
    return snapshots.WorkerEnv(Gauge())


@pytest.fixture
def workers() -> Iterator[Callable[..., AsyncVectorEnv]]:
    made = []

    def make(function: Callable[[], Any] = cartpole, **options: Any) -> AsyncVectorEnv:
        made.append(processes([function] * 2, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()


@every_mode
@pytest.mark.parametrize("shared_memory", [True, False])
def test_environments_in_processes_go_on(mode: AutoresetMode, shared_memory: bool) -> None:
    make = functools.partial(
        processes, [cartpole] * 2, shared_memory=shared_memory, autoreset_mode=mode
    )
    assert_goes_on(make, steps=20, after=40, used=21)


def test_new_processes_go_on() -> None:
    assert_goes_on(functools.partial(processes, [cartpole] * 3), steps=33, after=40)


@every_mode
def test_replayed_environments_in_processes_go_on(mode: AutoresetMode) -> None:
    make = functools.partial(processes, [gauge] * 2, copy=False, autoreset_mode=mode)
    assert_goes_on(make, steps=25, after=40, used=10)


@pytest.mark.parametrize("over_in_the_used_one", [True, False])
@pytest.mark.parametrize("over_in_the_snapshot", [True, False])
def test_a_process_remembers_the_end_that_the_snapshot_tells_of_and_no_other(
    over_in_the_snapshot: bool, over_in_the_used_one: bool
) -> None:
    def until(over: bool) -> AsyncVectorEnv:
        env = processes([cartpole])
        player = Player(env, seed=2)
        player.begin()
        while bool(player.play(1)[0][2][2].item()) is not over:
            pass
        return env

    one, other = until(over_in_the_snapshot), until(over_in_the_used_one)
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one)))
    steps = [env.step([0]) for env in (one, other)]
    one.close()
    other.close()
    assert steps[0][0].tolist() == steps[1][0].tolist()
    assert (steps[0][1].item() == 0) is over_in_the_snapshot
    assert steps[0][1:4] == steps[1][1:4]


def test_a_snapshot_from_before_the_first_reset_can_be_restored(workers: Any) -> None:
    one, other = workers(), workers()
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one)))
    assert one.reset(seed=3)[0].tolist() == other.reset(seed=3)[0].tolist()


def test_processes_without_it_are_impossible_and_stay_alive(workers: Any) -> None:
    env = workers(functools.partial(make_env, "CartPole-v1"))
    assert snapshots.declare(env) == (
        "impossible",
        f"the processes of {env} do not put a WorkerEnv around their environments",
    )
    with pytest.raises(InvalidType, match="do not put a WorkerEnv around their environments"):
        snapshots.take(env)
    assert env.reset(seed=0)[0].shape == (2, 4)


def test_the_kind_is_that_of_the_environments(workers: Any) -> None:
    assert snapshots.snapshot_kind(workers(cartpole)) == "exact"
    assert snapshots.snapshot_kind(workers(gauge)) == "replayed"


def test_a_snapshot_of_other_environments_is_refused_and_the_processes_stay_alive(
    workers: Any,
) -> None:
    one, other = workers(), workers(lambda: snapshots.WorkerEnv(make_env("Acrobot-v1")))
    other.reset(seed=0)
    one.reset(seed=0)
    state = snapshots.take(one)
    state["spaces"] = snapshots.take(other)["spaces"]  # as if only the processes noticed
    with pytest.raises(
        InvalidValue, match=r"with classes .*CartPoleEnv'\]: expected .*AcrobotEnv'\]"
    ):
        snapshots.restore(other, state)
    assert other.reset(seed=0)[0].shape == (2, 6)


def test_a_closed_environment_is_impossible() -> None:
    env = processes([cartpole])
    env.close()
    assert snapshots.declare(env) == ("impossible", f"{env} is closed")


def test_what_cannot_be_stored_after_all_is_said_without_ending_the_process(workers: Any) -> None:
    env = workers(functools.partial(late, "CartPole-v1"))
    env.reset(seed=0)
    with pytest.raises(InvalidType, match=r"attributes\.late is a builtins\.set"):
        snapshots.take(env)
    assert env.reset(seed=0)[0].shape == (2, 4)


def late(env_id: str) -> Any:
    env = make_env(env_id)
    reset = env.unwrapped.reset

    def resetting(**options: Any) -> Any:
        env.unwrapped.late = {1}  # type: ignore[attr-defined]
        return reset(**options)

    env.unwrapped.reset = resetting  # type: ignore[method-assign]
    return snapshots.WorkerEnv(env)
