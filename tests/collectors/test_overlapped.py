"""Overlapped batches: those of a policy that lags by one, whatever the threads do; resumable."""

from __future__ import annotations

import threading
import time
import traceback
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from overlapping import (
    ENVS,
    KINDS,
    STEPS,
    assert_alike,
    each_kind,
    lagging_by,
    learn,
    normalizer_of,
    overlapped,
    plain,
    policy_of,
    run,
)
from states import assert_same
from tensordict import TensorDict

from hookrl import collectors
from hookrl.collectors import OverlappedCollector
from hookrl.envs import make_env
from hookrl.envs.tensor import make
from hookrl.errors import InvalidType, InvalidValue
from hookrl.graph import Graph
from hookrl.hooks.denormals import flushes_denormals
from hookrl.models import ActorCritic

# ---------------------------------------------------------------- what a batch holds


@each_kind
def test_batches_are_those_of_a_policy_that_lags_by_one(kind: str) -> None:
    assert_alike(run(kind), lagging_by(1, kind, 5))


@pytest.mark.parametrize("lag", [0, 2])
def test_no_other_lag_gives_them(lag: int) -> None:
    batches, others = run("actor-critic", 4), lagging_by(lag, "actor-critic", 4)
    same = max(lag, 1)  # as long as nobody's policy has learned
    assert_alike(batches[:same], others[:same])
    assert not torch.equal(batches[same]["action_log_prob"], others[same]["action_log_prob"])


def test_random_frames_come_first_as_ever() -> None:
    options: dict[str, Any] = {"init_random_frames": 2 * STEPS * ENVS}
    assert_alike(run("squashed", **options), lagging_by(1, "squashed", 5, **options))


def test_random_actions_need_no_policy() -> None:
    one, other = overlapped(None), plain(None)
    assert_alike([one.collect() for _ in range(3)], [other.collect() for _ in range(3)])
    one.shutdown()


def test_only_a_policy_that_judges_actions_adds_log_probabilities() -> None:
    for kind in KINDS:
        assert ("action_log_prob" in run(kind, 1)[0]) == (kind == "actor-critic")


def test_a_thread_computes_as_the_one_that_asked() -> None:
    seen = []

    class Observing(gym.Wrapper):
        def step(self, action: Any) -> Any:
            seen.append((threading.current_thread().name, torch.get_num_threads()))
            seen.append(flushes_denormals())
            return self.env.step(action)

    collector = overlapped(policy_of(), env=lambda: Observing(make_env("CartPole-v1")))
    torch.set_flush_denormal(True)
    torch.set_num_threads(2)
    try:
        collector.collect()
        collector.state_dict()  # has waited for the second
        torch.set_num_threads(1)
        torch.set_flush_denormal(False)
        collector.collect()
        collector.state_dict()
    finally:
        torch.set_num_threads(1)
        torch.set_flush_denormal(False)
        collector.shutdown()
    two_batches = 2 * 2 * STEPS * ENVS  # each step has left two entries
    assert set(seen[:two_batches]) == {("collector", 2), True}
    assert set(seen[two_batches:]) == {("collector", 1), False}


@pytest.mark.usefixtures("interpreted")
def test_nothing_is_collected_while_a_graph_is_traced() -> None:
    collector = overlapped(policy_of())
    collector.collect()
    collector.state_dict()  # has waited for the second
    done: list[bool] = []

    def slow(x: torch.Tensor) -> list[torch.Tensor]:
        handing_out = threading.Thread(target=collector.collect)  # it begins the next one
        handing_out.start()
        handing_out.join()
        time.sleep(0.1)
        done.append(collector._in_flight.done())
        return [x + 1]

    Graph(slow, [torch.ones(2)])
    assert done == [False]
    collector.collect()
    collector.shutdown()


class Shifting:
    """A transform whose state is its own array, and which keeps what it is given."""

    def __init__(self) -> None:
        self.shift = np.zeros(4, np.float32)

    def __call__(self, observation: Any) -> Any:
        self.shift += 1
        return observation + self.shift

    frozen = __call__

    def state_dict(self) -> dict[str, Any]:
        return {"shift": self.shift}

    def load_state_dict(self, state: Any) -> None:
        self.shift = state["shift"]


def test_a_transform_may_hand_out_its_own_arrays() -> None:
    public = Shifting()
    collector = overlapped(policy_of(), transform=public)
    collector.collect()
    behind = public.shift.copy()
    collector.state_dict()  # waits for the next batch
    assert (public.shift == behind).all()
    collector.shutdown()


# ---------------------------------------------------------------- the transform


def test_the_transform_is_as_it_was_behind_the_batch_that_was_handed_out() -> None:
    policy, public, reference = policy_of(), normalizer_of(), normalizer_of()
    collector = overlapped(policy, transform=public)
    behind = plain(policy_of(), transform=reference)
    acting = behind.policy
    for number in range(4):
        batch = collector.collect()
        expected = behind.collect()
        assert torch.equal(batch["observation"], expected["observation"])
        assert_same(public.state_dict(), reference.state_dict())
        collector.state_dict()  # waits, so that the next batch is over
        assert_same(public.state_dict(), reference.state_dict())
        if number:  # the hand-run one is behind by a batch
            learn(acting, number - 1)
        learn(policy, number)
    assert collector.transform is public
    collector.shutdown()


def test_what_a_transform_was_loaded_with_before_the_first_batch_counts() -> None:
    source = normalizer_of()
    source(np.random.default_rng(0).normal(100, 1, (50, 4)).astype(np.float32))
    batches = []
    for collector in (overlapped, plain):
        transform = normalizer_of()
        made = collector(policy_of(), transform=transform)
        transform.load_state_dict(source.state_dict())
        batches.append(made.collect()["observation"])
        made.shutdown()
    assert torch.equal(*batches)


# ---------------------------------------------------------------- when it ends, or goes wrong


class Breaks(gym.Wrapper):
    """Fails once, at a step of the second batch."""

    steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps == STEPS + 2:
            raise ZeroDivisionError("the robot fell over")
        return self.env.step(action)


def broken() -> OverlappedCollector:
    collector = overlapped(policy_of(), env=lambda: Breaks(make_env("CartPole-v1")), num_envs=1)
    collector.collector.frames_per_batch = collector.collector.steps_per_env = STEPS
    collector.collect()
    return collector


def test_what_a_thread_raises_comes_out_of_the_next_call_with_its_traceback() -> None:
    collector = broken()
    with pytest.raises(ZeroDivisionError, match="the robot fell over") as caught:
        collector.collect()
    where = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (where.filename, where.name) == (__file__, "step")
    collector.collect()  # it goes on as one in the foreground does
    collector.shutdown()


def test_a_batch_that_failed_cannot_be_saved() -> None:
    collector = broken()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            collector.state_dict()
    collector.shutdown()


def test_a_batch_that_failed_is_no_reason_not_to_shut_down() -> None:
    collector = broken()
    collector.shutdown()
    assert collector.collector.env.closed


def test_shutting_down_waits_for_the_thread_and_closes() -> None:
    collector = overlapped(policy_of())
    collector.collect()
    assert any(thread.name == "collector" for thread in threading.enumerate())
    collector.shutdown()
    assert not any(thread.name == "collector" for thread in threading.enumerate())
    assert collector.collector.env.closed
    with pytest.raises(InvalidValue, match="was shut down"):
        collector.collect()


# ---------------------------------------------------------------- what is refused


def test_a_policy_that_draws_for_itself_is_refused() -> None:
    def policy(tensordict: TensorDict) -> TensorDict:
        return tensordict.set("action", torch.randint(2, (ENVS,)))

    with pytest.raises(InvalidType, match="a function that takes TensorDicts and draws from the"):
        overlapped(policy)


def test_a_policy_without_copies_is_refused() -> None:
    policy = policy_of()
    policy.lock = threading.Lock()
    with pytest.raises(
        InvalidType, match=r"\(ActorCritic\) has no copies .* expected one that copy"
    ):
        overlapped(policy)


def test_another_kind_of_collector_is_refused() -> None:
    env = make("CartPole-v1", 2)
    policy = ActorCritic.from_spaces(spaces.Box(-1, 1, (4,)), spaces.Discrete(2))
    with pytest.raises(InvalidType, match="of a TensorCollector: expected a VectorCollector"):
        OverlappedCollector(collectors.TensorCollector(env, policy, frames_per_batch=4))
