"""The shape of networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hookrl.configs.checks import check_flag, check_number, check_text
from hookrl.errors import InvalidType, InvalidValue


@dataclass(kw_only=True, slots=True)
class PerceptronConfig:
    """A network whose inputs and outputs follow from the spaces."""

    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of each hidden layer; enough for flat observations of control tasks."""
    activation: str = "tanh"
    """What follows each hidden layer: tanh, which learns best on-policy (Andrychowicz et al.,
    2021), relu, or another that `hookrl.models` knows."""

    def __post_init__(self) -> None:
        sizes, name = self.hidden_sizes, type(self).__name__
        if not isinstance(sizes, Iterable) or isinstance(sizes, str):
            raise InvalidType(f"hidden_sizes={sizes!r} in {name}: expected whole numbers.")
        self.hidden_sizes = tuple(sizes)
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in self.hidden_sizes):
            raise InvalidValue(
                f"hidden_sizes={self.hidden_sizes!r} in {name}: expected whole numbers at least 1."
            )
        check_text(self, "activation")


@dataclass(kw_only=True, slots=True)
class NetworkConfig(PerceptronConfig):
    """The networks of policy and value function."""

    shared_trunk: bool = False
    """Whether policy and value function share their hidden layers, as is usual for images."""
    log_std_init: float = 0.0
    """Initial logarithm of the standard deviation of continuous actions."""

    def __post_init__(self) -> None:
        PerceptronConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_flag(self, "shared_trunk")
        check_number(self, "log_std_init")
