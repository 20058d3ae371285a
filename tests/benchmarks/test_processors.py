from benchmarks.processors import idle_time, most_idle

TEXT = """\
cpu  30 0 30 900 0 0 0 0 0 0
cpu0 10 0 10 300 0 0 0 0 0 0
cpu1 20 0 20 600 5 0 0 0 0 0
intr 12345 0 0
ctxt 12345
"""


def test_idle_times_are_read_for_each_processor():
    assert idle_time(TEXT) == {0: 300, 1: 600}


def test_the_processors_with_the_least_to_do_are_taken():
    before, after = {0: 100, 1: 100, 2: 100}, {0: 150, 1: 101, 2: 130}
    assert most_idle(before, after, {0, 1, 2}, 2) == {0, 2}


def test_processors_that_are_not_ours_are_left_alone():
    before, after = {0: 100, 1: 100, 2: 100}, {0: 150, 1: 101, 2: 130}
    assert most_idle(before, after, {1, 2}, 1) == {2}


def test_of_equals_the_last_is_taken():
    same = {0: 100, 1: 100}
    assert most_idle(same, same, {0, 1}, 1) == {1}
