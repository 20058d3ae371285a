import pytest

from benchmarks.comparison import (
    agreement,
    best_peer,
    measured,
    ratio,
    spread,
    turn_ratios,
)


def runs(*speeds, scores=None):
    scores = scores or [100.0] * len(speeds)
    return {
        str(seed): {"fps": fps, "fps_cpu": fps, "score": score}
        for seed, (fps, score) in enumerate(zip(speeds, scores, strict=True))
    }


SIDES = {"ours": runs(40.0, 10.0, 30.0), "slow": runs(5.0, 6.0, 7.0), "fast": runs(15.0, 20.0)}


def test_a_spread_is_median_lowest_and_highest():
    assert spread(SIDES["ours"]) == (30.0, 10.0, 40.0)


def content(**frameworks):
    sides = {
        name: {"runs": SIDES[name], "settings": {"versions": {"python": "3", on: "1"}}}
        for name, on in frameworks.items()
    }
    return {"about": {"ours": ["ours"]}, "sides": sides}


def test_the_best_peer_has_the_highest_median_and_is_none_of_ours():
    assert best_peer(content(ours="torch", slow="torch", fast="torch")) == "fast"
    assert best_peer(content(ours="torch")) is None


def test_the_best_peer_of_a_framework_rests_on_it():
    beside_jax = content(ours="torch", slow="torch", fast="jax")
    assert best_peer(beside_jax) == "slow"
    assert best_peer(beside_jax, "jax") == "fast"
    assert best_peer(content(ours="torch", slow="torch"), "jax") is None


def test_a_ratio_is_that_of_the_medians():
    assert ratio(SIDES, "ours", "fast") == 30.0 / 17.5


def test_ratios_within_turns_take_the_seeds_that_both_have():
    assert turn_ratios(SIDES, "ours", "fast") == {"0": 40.0 / 15.0, "1": 10.0 / 20.0}


def test_sides_without_runs_were_not_measured():
    content = {"sides": {"ours": {"runs": SIDES["ours"]}, "absent": {"runs": {}}}}
    assert [*measured(content)] == ["ours"]


def test_the_standard_error_comes_from_the_spread_of_all_sides():
    sides = {
        "ours": runs(1.0, 1.0, scores=[90.0, 110.0]),
        "peer": runs(1.0, 1.0, scores=[120.0, 120.0]),
    }
    found = agreement(sides, "peer", "ours")
    assert found is not None
    assert found.apart == 20.0
    # Squares of 2 · 10² over 2 degrees of freedom, and 1/2 + 1/2 runs: an error of 10.
    assert found.bound == pytest.approx(3 * 10.0)
    assert found.agree


def test_means_beyond_the_bound_do_not_agree():
    sides = {
        "ours": runs(1.0, 1.0, scores=[99.0, 101.0]),
        "peer": runs(1.0, 1.0, scores=[120.0, 120.0]),
    }
    found = agreement(sides, "peer", "ours")
    assert found is not None
    assert not found.agree


def test_equal_scores_need_no_more_than_one_percent():
    sides = {"ours": runs(1.0, 1.0, scores=[500.0] * 2), "peer": runs(1.0, 1.0, scores=[496.0] * 2)}
    found = agreement(sides, "peer", "ours")
    assert found is not None
    assert found.agree


def test_single_runs_say_nothing():
    assert agreement({"ours": runs(1.0), "peer": runs(1.0)}, "peer", "ours") is None
