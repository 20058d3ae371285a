"""torchrl's environments around gymnasium's go on from their snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from midway import Gauge, through_a_checkpoint
from torchrl.envs import (
    Compose,
    GymEnv,
    GymWrapper,
    PendulumEnv,
    RewardSum,
    StepCounter,
    TransformedEnv,
    VecNormV2,
)
from torchrl.envs.transforms import TimeMaxPool

from hookrl.envs import snapshots
from hookrl.errors import InvalidValue


def transformed() -> TransformedEnv:
    return TransformedEnv(
        GymEnv("CartPole-v1"),
        Compose(
            StepCounter(),
            RewardSum(),
            VecNormV2(in_keys=["observation"]),
        ),
    )


MAKERS: dict[str, Callable[[], Any]] = {
    "gym": lambda: GymEnv("Pendulum-v1"),
    "replayed": lambda: GymWrapper(Gauge(), categorical_action_encoding=True),
    "transformed": transformed,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("maker", MAKERS)
def test_an_environment_goes_on(maker: str) -> None:
    one, other = (snapshots.prepare(MAKERS[maker]()) for _ in range(2))
    assert snapshots.snapshot_kind(one) == ("replayed" if maker == "replayed" else "exact")
    one.set_seed(0)
    seen = one.reset()
    for moment in range(60):
        if moment == 23:
            snapshots.restore(other, through_a_checkpoint(snapshots.take(one)))
            seen_by_other = seen.clone()
        action = one.action_spec.rand()
        outcome, seen = one.step_and_maybe_reset(seen.set("action", action))
        if moment >= 23:
            same, seen_by_other = other.step_and_maybe_reset(seen_by_other.set("action", action))
            assert (outcome == same).all(), moment
            assert (seen == seen_by_other).all(), moment


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (PendulumEnv, "PendulumEnv: only torchrl's GymWrapper and TransformedEnv can be stored"),
        (
            lambda: TransformedEnv(GymEnv("CartPole-v1"), TimeMaxPool(["observation"], T=2)),
            "the state of torchrl's TimeMaxPool is not known",
        ),
    ],
)
def test_what_is_not_known_is_impossible(env: Any, reason: str) -> None:
    assert snapshots.declare(env()) == ("impossible", reason)


def test_other_transforms_are_refused() -> None:
    one, other = (TransformedEnv(GymEnv("CartPole-v1"), t) for t in (StepCounter(), RewardSum()))
    with pytest.raises(InvalidValue) as caught:
        snapshots.restore(other, snapshots.take(one))
    assert str(caught.value) == "the snapshot has the transforms StepCounter: expected RewardSum."
