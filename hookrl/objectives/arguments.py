"""Checks of what losses are built with."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from hookrl.errors import InvalidValue, did_you_mean

DISTANCES: dict[str, Callable[..., Tensor]] = {
    "l2": F.mse_loss,
    "smooth_l1": F.smooth_l1_loss,
    "l1": F.l1_loss,
}
"""Distances between value and target; note that "l2" carries no factor 1/2, as in torchrl."""


def check_number(
    owner: str, name: str, value: object, *, positive: bool = False, at_most: float = math.inf
) -> None:
    """Refuse what is not a number, is negative (or zero, where `positive`) or above `at_most`.

    Args:
        owner: whose argument it is.
        name: of the argument.
        value: what was given.
        positive: whether zero is too little.
        at_most: the largest number allowed.

    Raises:
        InvalidValue: `value` is none of the allowed.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (value > 0 if positive else value >= 0) or value > at_most:  # type: ignore[operator]
        limit = "" if at_most == math.inf else f" and at most {at_most:g}"
        raise InvalidValue(
            f"{owner} expects {name} to be a number "
            f"{'above' if positive else 'not below'} 0{limit}, got {value!r}."
        )


def check_distance(owner: str, name: str, value: str) -> None:
    """Refuse what is not a key of `DISTANCES`.

    Args:
        owner: whose argument it is.
        name: of the argument.
        value: what was given.

    Raises:
        InvalidValue: `value` is none of the keys; the text names the nearest.
    """
    if value not in DISTANCES:
        raise InvalidValue(
            f"{owner} expects {name} to be one of {', '.join(map(repr, DISTANCES))}, got {value!r}"
            f"{did_you_mean(str(value), DISTANCES)}."
        )
