"""A run that was stopped and resumed, in another process, equals one that never was: all bits."""

import itertools
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from resume.runs import Case, differences, run

FAMILIES = {
    "classic": {"CartPole-v1", "Acrobot-v1", "Pendulum-v1"},
    "toy text": {"FrozenLake-v1"},
    "MuJoCo": {"InvertedPendulum-v5", "Hopper-v5"},
    "replayed": {"Drifting-v0"},
}
CONTINUOUS = ("env_kwargs={continuous: true}",)
PRIORITIZED = ("replay.prioritized=true",)
NORMALIZED = ("normalize_observation=true",)
OVERLAPPED = ("overlap_collection=true",)
CAPTURED = ("compile=true",)
CASES = [
    Case("ppo", "CartPole-v1", "torch", NORMALIZED),
    Case("ppo", "FrozenLake-v1", "torchsnapshot", background=True),
    Case("ppo", "Hopper-v5", "torch", ("normalize_reward=true", *NORMALIZED), background=True),
    Case("ppo", "Drifting-v0", "torchsnapshot", (*CONTINUOUS, *NORMALIZED)),
    Case("dqn", "Acrobot-v1", "torchsnapshot", PRIORITIZED),
    Case("dqn", "FrozenLake-v1", "torch", ("replay.n_step=3", *PRIORITIZED)),
    Case("dqn", "Drifting-v0", "torch", NORMALIZED, background=True),
    Case("sac", "Pendulum-v1", "torch", background=True),
    Case("sac", "InvertedPendulum-v5", "torchsnapshot", (*PRIORITIZED, *NORMALIZED)),
    Case("sac", "Drifting-v0", "torch", (*CONTINUOUS, *PRIORITIZED)),
    Case("discrete-sac", "CartPole-v1", "torchsnapshot", (*PRIORITIZED, *NORMALIZED)),
    Case("discrete-sac", "FrozenLake-v1", "torch", background=True),
    Case("discrete-sac", "Drifting-v0", "torchsnapshot", PRIORITIZED, background=True),
    Case("ppo", "Hopper-v5", "torchsnapshot", (*OVERLAPPED, *NORMALIZED), background=True),
    Case("dqn", "Acrobot-v1", "torch", (*OVERLAPPED, *NORMALIZED)),
    Case("sac", "Pendulum-v1", "torch", OVERLAPPED, background=True),
    Case("ppo", "CartPole-v1", "torch", (*OVERLAPPED, *CAPTURED)),
    Case("dqn", "CartPole-v1", "torchsnapshot", (*OVERLAPPED, *CAPTURED)),
]
FULL = [CASES[3], CASES[4], CASES[8]]


@pytest.fixture(scope="module")
def elsewhere():
    """Another process, which has not seen the run that it goes on with."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda *task, **options: pool.submit(run, *task, **options).result()


def resumed(case, folder, stops, elsewhere):
    """Run up to each of `stops` in turn, by two processes that take turns."""
    folder.mkdir()
    run(case, folder, stops[0], last=False)
    for turn, stop in enumerate(stops[1:-1]):
        (run if turn % 2 else elsewhere)(case, folder, stop, resume=True, last=False)
    return elsewhere(case, folder, stops[-1], resume=True)


def uninterrupted(case, folder, batches):
    folder.mkdir()
    return run(case, folder, batches)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_three_stops_change_nothing(case, tmp_path, elsewhere):
    whole = uninterrupted(case, tmp_path / "whole", 15)
    assert differences(whole, resumed(case, tmp_path / "parts", [4, 7, 12, 15], elsewhere)) == []


@pytest.mark.parametrize("case", FULL, ids=str)
def test_a_stop_after_every_batch_changes_nothing(case, tmp_path, elsewhere):
    whole = uninterrupted(case, tmp_path / "whole", 21)
    stops = list(range(1, 22))
    assert differences(whole, resumed(case, tmp_path / "parts", stops, elsewhere)) == []


def test_another_seed_would_be_noticed(tmp_path):
    case = CASES[0]
    other = case._replace(overrides=(*case.overrides, "gamma=0.98"))
    one, two = (uninterrupted(c, tmp_path / str(i), 2) for i, c in enumerate((case, other)))
    assert differences(one, two)


def factors(case):
    """What a case has of each factor; of options it may have several."""
    family = next(name for name, ids in FAMILIES.items() if case.env in ids)
    options = {
        "prioritized": PRIORITIZED[0] in case.overrides,
        "normalized": NORMALIZED[0] in case.overrides,
        "background": case.background,
    }
    return [
        {case.algorithm},
        {case.backend},
        {family},
        {name for name, on in options.items() if on},
    ]


def pairs(case):
    for one, other in itertools.combinations(factors(case), 2):
        yield from itertools.product(sorted(one), sorted(other))


def test_every_possible_pair_of_choices_is_in_some_case():
    possible = set(
        itertools.product(["ppo", "dqn", "sac", "discrete-sac"], ["torch", "torchsnapshot"])
    )
    discrete, continuous = {"classic", "toy text", "replayed"}, {"classic", "MuJoCo", "replayed"}
    replay = {"prioritized", "normalized", "background"}
    for algorithm, families, options in (
        ("ppo", discrete | continuous, {"normalized", "background"}),
        ("dqn", discrete, replay),
        ("sac", continuous, replay),
        ("discrete-sac", discrete, replay),
    ):
        possible |= set(itertools.product([algorithm], families | options))
    for backend in ("torch", "torchsnapshot"):
        possible |= set(itertools.product([backend], discrete | continuous | replay))
    possible |= set(itertools.product(discrete | continuous, replay))
    possible -= {("toy text", "normalized")}  # its observations are no numbers
    covered = {pair for case in CASES for pair in pairs(case)}
    assert sorted(possible - covered) == []
