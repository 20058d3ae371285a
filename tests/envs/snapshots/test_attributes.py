"""Attributes as state: what is stored, what is left alone, and what is in the way."""

from __future__ import annotations

import dataclasses
import functools
import math
from enum import Enum
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from midway import Simulator, through_a_checkpoint
from states import assert_same

from hookrl.envs.snapshots import Attributes
from hookrl.envs.snapshots.values import pack, unpack
from hookrl.errors import InvalidValue, MissingKey

FAMILY = Attributes()


class Bare(gym.Env[Any, Any]):
    """An environment with the attributes that it is given."""

    def __init__(self, **attributes: Any) -> None:
        self.observation_space = spaces.Box(-1, 1, (1,))
        self.action_space = spaces.Dict({"a": spaces.Tuple([spaces.Discrete(9)])})
        vars(self).update(attributes)


def carry_over(source: Any, target: Any, family: Attributes = FAMILY) -> Any:
    state = unpack(through_a_checkpoint(pack(family.take(source))))
    family.check(target, state)
    family.restore(target, state)
    return target


def test_plain_attributes_arrays_and_generators_are_carried_over() -> None:
    source = Bare(level=2.5, grid=np.eye(2), rng=np.random.default_rng(1), name="a", none=None)
    found = carry_over(source, Bare(level=0, name="b"))
    assert (found.level, found.name, found.none) == (2.5, "a", None)
    np.testing.assert_array_equal(found.grid, np.eye(2))
    assert found.rng.random() == source.rng.random()


def test_attributes_that_did_not_exist_yet_are_removed() -> None:
    found = carry_over(Bare(), Bare(later=np.zeros(3), rng=np.random.default_rng()))
    assert not hasattr(found, "later")
    assert not hasattr(found, "rng")


def test_a_class_attribute_shows_again_when_the_instances_own_is_removed() -> None:
    found = Bare()
    found.np_random  # noqa: B018
    assert carry_over(Bare(), found)._np_random is None


def test_the_generators_of_spaces_are_carried_over() -> None:
    source, target = Bare(), Bare()
    source.action_space.seed(3)
    source.action_space.sample()
    target.observation_space.seed(1)
    carry_over(source, target)
    assert [target.action_space.sample() for _ in range(5)] == [
        source.action_space.sample() for _ in range(5)
    ]
    assert target.observation_space._np_random is None


def test_the_generators_of_spaces_that_belong_to_the_class_are_carried_over() -> None:
    class Shared(Bare):
        action_space = spaces.Discrete(1000)

        def __init__(self) -> None:
            pass

    source = Shared()
    source.action_space.seed(3)
    state = unpack(through_a_checkpoint(pack(FAMILY.take(source))))
    expected = [source.action_space.sample() for _ in range(3)]
    FAMILY.restore(source, state)  # in another process the class has not drawn yet
    assert [source.action_space.sample() for _ in range(3)] == expected


class Moments:
    def __init__(self, rng: Any = None) -> None:
        self.mean = np.zeros(2)
        self.rng = rng


@dataclasses.dataclass
class Settings:
    gravity: float
    nested: Any = None


def test_helper_objects_are_brought_back_inside() -> None:
    source = Bare(moments=Moments(), settings=Settings(3.0, Moments()))
    source.moments.mean += 2
    source.settings.nested.mean += 4
    target = Bare(moments=Moments(), settings=Settings(9.81, Moments()))
    moments = target.moments
    carry_over(source, target)
    assert target.moments is moments, "others may hold on to it"
    assert target.moments.mean.tolist() == [2, 2]
    assert target.settings.gravity == 3.0
    assert target.settings.nested.mean.tolist() == [4, 4]


def test_a_generator_that_a_helper_shares_stays_shared() -> None:
    rng = np.random.default_rng(0)
    found = carry_over(
        Bare(rng=rng, moments=Moments(rng)),
        Bare(rng=np.random.default_rng(), moments=Moments(np.random.default_rng())),
    )
    assert found.moments.rng is found.rng


def test_a_helper_may_refer_back_to_the_environment() -> None:
    def make(level: int) -> Bare:
        env = Bare(moments=Moments(), level=level)
        env.moments.rng = env
        env.moments.self = env.moments
        return env

    assert FAMILY.obstacle(make(1)) is None
    assert carry_over(make(1), make(2)).level == 1


class Phase(Enum):
    UP = 1
    DOWN = 2


def test_members_of_enumerations_are_carried_over() -> None:
    assert carry_over(Bare(phase=Phase.DOWN), Bare(phase=Phase.UP)).phase is Phase.DOWN


def test_functions_specifications_and_what_is_rendered_are_left_alone() -> None:
    pygame = pytest.importorskip("pygame")
    constants = {
        "f": lambda: 1,
        "part": functools.partial(int),
        "module": math,
        "kind": int,
        "spec": gym.spec("CartPole-v1"),
        "screen": pygame.Surface((2, 2)),
    }
    target = Bare(**constants)
    carry_over(Bare(**dict.fromkeys(constants)), target)
    assert {name: getattr(target, name) for name in constants} == constants
    kept = carry_over(Bare(**constants), Bare(screen=None))
    assert kept.screen is None


def test_named_constants_are_left_alone() -> None:
    family = Attributes(constants=["table"])
    assert carry_over(Bare(table={1}), Bare(table={2}), family).table == {2}


def test_whether_an_environment_was_closed_is_no_state() -> None:
    assert carry_over(Bare(closed=True), Bare(closed=False)).closed is False


class Slotted(Bare):
    __slots__ = ("hidden",)


@pytest.mark.parametrize(
    ("env", "obstacle"),
    [
        (Bare(seen={1}), "attributes.seen is a builtins.set, which no snapshot can hold"),
        (Bare(it=iter([])), "attributes.it is a builtins.list_iterator, which no snapshot can ho"),
        (Bare(world=Simulator()), "attributes.world is a midway.Simulator, which no snapshot can"),
        (Bare(deep=Settings(1, {2})), "objects.deep.state.attributes.nested is a builtins.set, w"),
        (Bare(other=Bare()), "attributes.other is another environment"),
        (Bare(view=np.frombuffer(b"12345678")), "attributes.view is memory of a simulator"),
        (Slotted(), "it keeps state outside its attributes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_stored_is_named(env: Any, obstacle: str) -> None:
    assert (FAMILY.obstacle(env) or "").startswith(obstacle)


def test_without_obstacles_there_is_none() -> None:
    assert FAMILY.obstacle(Bare(level=1, grid=np.zeros(2))) is None


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (Bare(m=Moments()), Bare(m=Settings(1)), r"snapshot has a .*\.Moments in Bare\.m: expect"),
        (Bare(m=Moments()), Bare(), r"in Bare\.m: expected a builtins\.NoneType\."),
        (Bare(p=Phase.UP), Bare(p=1), r"has a .*\.Phase in Bare\.p: expected a builtins\.int\."),
        (
            Bare(m=Settings(1, Moments())),
            Bare(m=Settings(1, Phase.UP)),
            r"Moments in Settings\.nested: expected a .*\.Phase\.",
        ),
    ],
    ids=["class", "missing", "enumeration", "nested"],
)
def test_other_helper_objects_are_refused(source: Any, target: Any, message: str) -> None:
    before = pack(FAMILY.take(target))
    with pytest.raises(InvalidValue, match=message):
        carry_over(source, target)
    assert_same(pack(FAMILY.take(target)), before)


def test_a_member_that_an_enumeration_does_not_have_is_refused() -> None:
    env = Bare(phase=Phase.UP)
    state = FAMILY.take(env)
    state["enums"]["phase"][1] = "SIDEWAYS"
    with pytest.raises(InvalidValue, match=r"has a .*\.Phase called SIDEWAYS, which is unknown"):
        FAMILY.check(env, state)


def test_what_is_no_state_of_attributes_is_refused() -> None:
    with pytest.raises(MissingKey, match="the attributes of Bare lacks 'clocks'"):
        FAMILY.check(Bare(), {"attributes": {}, "enums": {}, "spaces": {}, "objects": {}})
