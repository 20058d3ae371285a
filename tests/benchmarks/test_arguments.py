"""Names on the command line: which are meant, and which are refused."""

import argparse

import pytest

from benchmarks.arguments import chosen

WORKS = {"ppo": 1, "dqn": 2, "sac": 3}


def test_none_means_all():
    assert chosen(argparse.ArgumentParser(), "work", [], WORKS) == ["ppo", "dqn", "sac"]


def test_names_stay_in_their_order():
    assert chosen(argparse.ArgumentParser(), "work", ["sac", "ppo"], WORKS) == ["sac", "ppo"]


def test_an_unknown_name_ends_the_program_and_is_told_the_nearest(capsys):
    with pytest.raises(SystemExit):
        chosen(argparse.ArgumentParser(), "work", ["sac", "ppp"], WORKS)
    said = capsys.readouterr().err
    assert "unknown work 'ppp'" in said
    assert "did you mean 'ppo'" in said
    assert "expected one of ppo, dqn, sac." in said
