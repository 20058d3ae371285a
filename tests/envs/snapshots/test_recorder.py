"""The fallback: an episode is recorded, and played again."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from midway import Gauge, Simulator, through_a_checkpoint

from hookrl.envs import snapshots
from hookrl.envs.snapshots import Recorder, ReplayDiffers, check_environment
from hookrl.errors import InvalidType, InvalidValue


def recorded(env: Any) -> Recorder:
    recorder = snapshots.prepare(env)
    assert isinstance(recorder, Recorder)
    return recorder


def hand_over(one: Any, other: Any) -> Any:
    snapshots.restore(other, through_a_checkpoint(snapshots.take(one)))
    return other


@pytest.mark.parametrize("steps", [0, 1, 5, 40])
def test_an_environment_without_a_family_is_replayed(steps: int) -> None:
    assert check_environment(Gauge, steps=steps) == "replayed"


def test_it_may_draw_from_a_generator_of_its_own() -> None:
    assert check_environment(lambda: Gauge(private=True)) == "replayed"


WRAPPERS = {
    "time limit": lambda env: gym.wrappers.TimeLimit(env, 4),
    "running statistics": gym.wrappers.NormalizeObservation,
    "statistics": gym.wrappers.RecordEpisodeStatistics,
    "frames": lambda env: gym.wrappers.FrameStackObservation(env, 3),
    "draws from the environment's generator": lambda env: gym.wrappers.StickyAction(env, 0.5),
    "without a family": lambda env: Odd(gym.wrappers.NormalizeReward(env)),
}


class Odd(gym.Wrapper[Any, Any, Any, Any]):
    """Holds what cannot be stored, and is reset with its environment."""

    def reset(self, **options: Any) -> Any:
        self.visited: set[int] = set()
        self.simulator = Simulator()
        return self.env.reset(**options)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_its_wrappers_are_replayed_with_it(wrapper: str) -> None:
    assert check_environment(lambda: WRAPPERS[wrapper](Gauge())) == "replayed"


class OddFromTheStart(Odd):
    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.visited = set()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Taxi-v4"])
def test_a_wrapper_that_cannot_be_stored_makes_all_inside_it_be_replayed(env_id: str) -> None:
    def make() -> Any:
        return OddFromTheStart(gym.wrappers.TimeAwareObservation(gym.make("CartPole-v1")))

    assert snapshots.declare(make()) == (
        "replayed",
        "OddFromTheStart: attributes.visited is a builtins.set, which no snapshot can hold",
    )
    assert check_environment(make) == "replayed"


def test_what_draws_from_its_spaces_is_replayed_too() -> None:
    class Sampling(Gauge):
        def _observe(self) -> Any:
            return self.observation_space.sample()

    assert check_environment(Sampling) == "replayed"


def test_actions_that_were_sampled_from_its_space_go_on_too() -> None:
    one, other = (recorded(Acting(spaces.Discrete(3))) for _ in range(2))
    one.reset(seed=0)
    one.action_space.seed(0)
    for _ in range(20):
        one.step(one.action_space.sample())
    hand_over(one, other)
    assert [other.action_space.sample() for _ in range(9)] == [
        one.action_space.sample() for _ in range(9)
    ]


class Acting(Gauge):
    """Shows the action that it was given, by its type."""

    def __init__(self, space: spaces.Space[Any]) -> None:
        super().__init__()
        self.action_space = space  # type: ignore[assignment]
        self.seen: list[Any] = []

    def step(self, action: Any) -> Any:
        self.seen.append((type(action), repr(action)))
        return super().step(0)


@pytest.mark.parametrize(
    "action",
    [
        *(1, np.int64(1), np.float32(0.5), np.array([0.5, 1.0], np.float32), np.array(1)),
        *({"a": np.array([1.0]), "b": 2}, (np.int64(1), 2), torch.ones(2)),
    ],
    ids=repr,
)
def test_actions_are_played_again_as_they_were(action: Any) -> None:
    one, other = (recorded(Acting(spaces.Discrete(2))) for _ in range(2))
    one.reset(seed=0)
    for _ in range(3):
        one.step(action)
    hand_over(one, other)
    assert other.seen == one.seen


def test_actions_of_different_types_are_played_again_as_they_were() -> None:
    one, other = (recorded(Acting(spaces.Discrete(2))) for _ in range(2))
    one.reset(seed=0)
    for action in (np.int64(1), 1, np.array([1]), np.array([1, 2]), True):
        one.step(action)
    hand_over(one, other)
    assert other.seen == one.seen


def test_many_actions_are_one_tensor() -> None:
    env = recorded(Gauge())
    env.reset(seed=0)
    for action in np.random.default_rng(0).integers(3, size=500):
        env.step(action)
    assert env.snapshot()["actions"].shape == (500,)


def test_an_action_is_kept_as_it_was_when_its_array_is_used_again() -> None:
    one, other = (recorded(Acting(spaces.Box(-1, 1, (2,)))) for _ in range(2))
    one.reset(seed=0)
    action = np.zeros(2)
    for _ in range(3):
        one.step(action)
        action += 1
    hand_over(one, other)
    assert other.seen == one.seen


def test_the_arguments_of_the_reset_are_used_again() -> None:
    class Options(Gauge):
        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            result = super().reset(seed=seed)
            self.level = options.pop("level")
            return result

    one, other = (recorded(Options()) for _ in range(2))
    one.reset(seed=4, options={"level": 9.0})
    one.step(1)
    hand_over(one, other)
    assert other.unwrapped.level == one.unwrapped.level


def test_a_first_reset_without_a_seed_can_be_played_again() -> None:
    one, other = (recorded(Gauge()) for _ in range(2))
    one.reset()
    one.step(1)
    hand_over(one, other)
    assert other.step(2)[1] == one.step(2)[1]


def test_before_the_first_reset_there_is_nothing_to_play() -> None:
    one, other = (recorded(Gauge()) for _ in range(2))
    hand_over(one, other)
    assert other.episodes == 0


def test_the_attributes_of_the_environment_are_found_where_they_were() -> None:
    env = recorded(Gauge())
    env.reset(seed=0)
    assert env.level == env.unwrapped.level
    env.set_wrapper_attr("level", 3.0)
    assert env.unwrapped.level == env.get_wrapper_attr("level") == 3.0
    with pytest.raises(AttributeError):
        env.nothing  # noqa: B018


# ---------------------------------------------------------------- what goes wrong


class Hidden(Gauge):
    """Draws from a generator of its class."""

    hidden = np.random.default_rng(0)

    @property
    def _rng(self) -> Any:
        return self.hidden


def test_another_observation_is_an_error() -> None:
    one, other = (recorded(Hidden()) for _ in range(2))
    one.reset(seed=0)
    one.step(1)
    with pytest.raises(ReplayDiffers) as caught:
        hand_over(one, other)
    assert str(caught.value) == (
        "replaying the 1 actions of an episode of <Hidden instance> led to another observation "
        "than was recorded: expected episodes that follow from np_random and the actions; give it "
        "snapshot() and restore(state), or register Impossible(reason) for it."
    )


def test_a_generator_that_stands_elsewhere_is_an_error_even_if_nothing_shows_yet() -> None:
    class Blind(Gauge):
        def _observe(self) -> Any:
            return np.zeros(2, np.float32)

    one, other = (recorded(Blind()) for _ in range(2))
    one.reset(seed=0)
    one.step(1)
    one.unwrapped.np_random.random()  # drawn by somebody else
    with pytest.raises(ReplayDiffers):
        hand_over(one, other)


def test_an_error_while_replaying_is_told() -> None:
    class Breaking(Gauge):
        broken = False

        def step(self, action: Any) -> Any:
            if self.broken:
                raise RuntimeError("out of order")
            return super().step(action)

    one, other = (recorded(Breaking()) for _ in range(2))
    one.reset(seed=0)
    one.step(1)
    type(one.unwrapped).broken = True
    with pytest.raises(
        ReplayDiffers, match=r"of <Breaking instance> failed: RuntimeError\('out of"
    ):
        hand_over(one, other)


def test_an_environment_that_was_not_prepared_is_refused() -> None:
    env = Gauge()
    with pytest.raises(
        InvalidType, match="has to be replayed and nothing was recorded: expected prep"
    ):
        snapshots.take(env)
    prepared = recorded(Gauge())
    prepared.reset(seed=0)
    with pytest.raises(InvalidValue, match="belongs to an environment with classes"):
        snapshots.restore(env, snapshots.take(prepared))


def test_the_environment_inside_is_checked() -> None:
    class Other(Gauge):
        pass

    with pytest.raises(InvalidValue, match=r"Recorder'.*Gauge'\]: expected .*Other'\]\.$"):
        hand_over(recorded(Gauge()), recorded(Other()))
