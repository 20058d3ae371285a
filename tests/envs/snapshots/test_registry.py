"""Users' own environments: methods of their own, and families that they register."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from midway import Gauge, Simulator

from hookrl.envs import snapshots
from hookrl.envs.snapshots import Attributes, Exact, Impossible, Replayed, check_environment
from hookrl.errors import InvalidType


class Own(Gauge):
    """Says for itself what its state is."""

    def snapshot(self) -> dict[str, Any]:
        return {
            "rng": self.np_random,
            "numbers": np.array([self.level, self.simulator.total()]),
            "episodes": self.episodes,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.np_random = state["rng"]
        self.level = float(state["numbers"][0])
        self.simulator._total = float(state["numbers"][1])
        self.episodes = state["episodes"]


def test_an_environments_own_methods_make_it_exact() -> None:
    assert check_environment(Own) == "exact"
    assert check_environment(lambda: gym.wrappers.TimeLimit(Own(), 5)) == "exact"


def test_a_wrappers_own_methods_speak_for_the_wrapper_alone() -> None:
    class Drift(gym.Wrapper[Any, Any, Any, Any]):
        def __init__(self, env: Any) -> None:
            super().__init__(env)
            self.simulator = Simulator()

        def step(self, action: Any) -> Any:
            observation, reward, *rest = self.env.step(action)
            self.simulator.advance(reward)
            return observation, self.simulator.total(), *rest

        def snapshot(self) -> float:
            return self.simulator.total()

        def restore(self, state: float) -> None:
            self.simulator._total = state

    assert check_environment(lambda: Drift(gym.make("Pendulum-v1"))) == "exact"
    assert check_environment(lambda: Drift(Gauge())) == "replayed"


class Plain(Gauge):
    """The attributes are all there is to it."""

    def __init__(self) -> None:
        super().__init__()
        del self.simulator

    def reset(self, **options: Any) -> Any:
        observation, info = super().reset(**options)
        del self.simulator
        return observation, info

    def step(self, action: Any) -> Any:
        self.level += float(self.np_random.normal())
        return self._observe(), self.level, self.level > 3, False, {}

    def _observe(self) -> Any:
        return np.full(2, self.level, np.float32)


def test_a_class_can_be_registered_as_its_attributes() -> None:
    assert snapshots.snapshot_kind(Plain()) == "replayed"
    snapshots.register_family(Plain, Attributes())
    assert check_environment(Plain) == "exact"


def test_a_subclass_belongs_to_the_family_of_its_parent() -> None:
    class Child(Plain):
        pass

    class Sailor(gym.envs.classic_control.CartPoleEnv):  # type: ignore[name-defined]
        pass

    snapshots.register_family(Plain, Attributes())
    assert snapshots.snapshot_kind(Child()) == "exact"
    assert snapshots.snapshot_kind(Sailor()) == "exact"


class Simulated(Gauge):
    pass


class SimulatedFamily(Exact):
    """Reads what `Simulated` would not tell, and has nothing to say about anything else."""

    def take(self, layer: Any) -> dict[str, Any]:
        numbers = (layer.level, layer.simulator.total(), layer.episodes)
        return {"rng": layer.np_random, "numbers": numbers}

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        layer.np_random = state["rng"]
        layer.level, layer.simulator._total, layer.episodes = state["numbers"]


def test_a_family_of_the_users_own() -> None:
    snapshots.register_family(Simulated, SimulatedFamily())
    assert check_environment(Simulated) == "exact"


def test_what_must_not_be_replayed_is_impossible_and_not_recorded() -> None:
    class Arm(Gauge):
        pass

    snapshots.register_family(Arm, Impossible("it moves"))
    env = gym.wrappers.TimeLimit(Arm(), 5)
    assert snapshots.declare(env) == ("impossible", "Arm: it moves")
    assert snapshots.prepare(env) is env
    with pytest.raises(
        InvalidType, match=r"cannot be snapshotted \(Arm: it moves\): expected a fam"
    ):
        snapshots.take(env)


def test_what_would_be_stored_can_be_registered_to_be_replayed() -> None:
    class Replay(gym.envs.classic_control.PendulumEnv):  # type: ignore[name-defined]
        pass

    snapshots.register_family(Replay, Replayed())
    assert check_environment(Replay) == "replayed"


def test_a_vector_environment_cannot_be_replayed() -> None:
    class Vector(gym.vector.VectorEnv[Any, Any, Any]):
        pass

    snapshots.register_family(Vector, Replayed())
    assert snapshots.snapshot_kind(Vector()) == "impossible"


def test_a_family_that_forgets_something_fails_the_check() -> None:
    class Forgetful(SimulatedFamily):
        def restore(self, layer: Any, state: dict[str, Any]) -> None:
            super().restore(layer, {**state, "rng": np.random.default_rng()})

    class Forgotten(Simulated):
        pass

    snapshots.register_family(Forgotten, Forgetful())
    with pytest.raises(snapshots.SnapshotCheckError) as caught:
        check_environment(Forgotten)
    assert str(caught.value).startswith("step 1 after the snapshot of <Forgotten instance> gave [")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (Gauge(), Attributes()),
            "environment_class is <midway.Gauge .*>: expected a class of env",
        ),
        ((Gauge, Attributes), "family is <class .*: expected an Exact, such as Attributes()"),
        ((Gauge, "exact"), "family is 'exact': expected an Exact"),
    ],
)
def test_what_is_no_class_or_no_family_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidType, match=message.replace("()", r"\(\)")):
        snapshots.register_family(*arguments)
