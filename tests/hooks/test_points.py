import pytest

from hookrl.errors import InvalidValue
from hookrl.hooks.points import INSTEAD, POINTS, find_point


def test_there_are_ten_points_in_the_order_of_the_loop():
    assert list(POINTS) == [
        "batch_process",
        "pre_steps_log",
        "pre_optim_steps",
        "process_optim_batch",
        "post_loss",
        "optimizer",
        "post_optim",
        "post_optim_log",
        "post_steps",
        "post_steps_log",
    ]


def test_a_misspelt_point_is_answered_with_the_nearest_and_the_ten():
    with pytest.raises(InvalidValue, match=r"'post_optm' \(did you mean 'post_optim'\?\)") as info:
        find_point("post_optm")
    assert all(name in str(info.value) for name in POINTS)


@pytest.mark.parametrize("name", INSTEAD)
def test_a_destination_that_only_torchrl_has_names_what_to_use_instead(name):
    with pytest.raises(InvalidValue, match="use .* instead"):
        find_point(name)


def test_exactly_the_five_points_between_batch_and_log_are_inner():
    assert [name for name, point in POINTS.items() if point.inner] == [
        "process_optim_batch",
        "post_loss",
        "optimizer",
        "post_optim",
        "post_optim_log",
    ]
