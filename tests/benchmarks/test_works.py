"""Every side of every work trains, as it would be timed, if only for a moment."""

import dataclasses
import importlib

import pytest

from benchmarks.clock import BEGINNING, Clock
from benchmarks.machine import missing
from benchmarks.works import WORKS
from sota.sides import evaluate

SIDES = [
    (work.name, side.name)
    for work in WORKS.values()
    for side in work.sides
    # More threads change nothing here, and captured steps are tested with the trainers.
    if work.threads == 1 and not side.changes.get("compile")
]


def brief(work):
    """The work with few environments and frames, little of it learned from."""
    config = work.config
    if hasattr(config, "replay"):
        replay = dataclasses.replace(config.replay, learning_starts=50, batch_size=16, capacity=500)
        return dataclasses.replace(work, config=dataclasses.replace(config, replay=replay)), 200
    envs = min(config.num_envs, 8)
    steps = min(config.steps_per_env, 64)
    config = dataclasses.replace(config, num_envs=envs, steps_per_env=steps)
    return dataclasses.replace(work, config=config), 6 * envs * steps


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "side"), SIDES)
def test_a_side_trains_and_gives_a_policy(name, side):
    work, frames = brief(WORKS[name])
    side = work.side(side)
    if absent := missing(side.packages):
        pytest.skip(f"{', '.join(absent)} not installed")
    clock = Clock(frames)
    policy = importlib.import_module(side.module).train(
        work.config_of(side, frames=frames, seed=1), clock
    )
    assert clock.figures()["frames"] >= frames
    assert evaluate(policy, work.config, episodes=2).lengths.min() > 0


@pytest.mark.parametrize("work", WORKS.values(), ids=lambda work: work.name)
def test_sides_differ_in_nothing_but_how_they_run(work):
    for side in work.sides:
        assert side.changes.keys() <= {"compile", "vectorization_mode", "matmul_precision"}


@pytest.mark.parametrize("work", WORKS.values(), ids=lambda work: work.name)
def test_learning_is_under_way_when_the_beginning_is_over(work):
    starts = getattr(getattr(work.config, "replay", None), "learning_starts", 0)
    assert starts < min(BEGINNING * work.config.total_frames, work.warm_up)


def test_names_are_unique():
    for work in WORKS.values():
        names = [side.name for side in work.sides]
        assert len(set(names)) == len(names)
