"""What may differ between two episodes of an environment that makes the rest anew at every reset.

Its random generators, those of its spaces, and its counters, settings and flags. This is read at
every reset, so it takes only a few microseconds; arrays and containers are left to the reset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from hookrl.envs.snapshots.attributes import (
    CONSTANT_NAMES,
    attributes_of,
    set_space_generators,
    space_generators,
)
from hookrl.envs.snapshots.generators import pack_generator, unpack_generator

_SCALARS = (bool, int, float, complex, str, bytes, type(None))


def read_opening(layer: Any) -> dict[str, Any]:
    """Return generators as kind and state, and scalars, by attribute."""
    opening: dict[str, Any] = {"generators": {}, "spaces": {}, "scalars": {}}
    for name, value in attributes_of(layer).items():
        if name in CONSTANT_NAMES:
            continue
        if _is_scalar(value):
            opening["scalars"][name] = value
        elif isinstance(value, spaces.Space):
            inside = {path: pack_generator(rng) for path, rng in space_generators(value)}
            opening["spaces"][name] = inside
        elif (state := pack_generator(value)) is not None:
            opening["generators"][name] = state
    return opening


def set_opening(layer: Any, opening: dict[str, Any]) -> None:
    """Bring `layer` to where the reset that followed `opening` begins.

    A scalar is not put where the layer now has an object: that belongs to the episode in `layer`,
    and it is the reset that clears it away.
    """
    for name, value in opening["scalars"].items():
        if _is_scalar(vars(layer).get(name)):
            setattr(layer, name, value)
    for name, state in opening["generators"].items():
        setattr(layer, name, unpack_generator(*state))
    for name, inside in opening["spaces"].items():
        if isinstance(getattr(layer, name, None), spaces.Space):
            made = {path: state and unpack_generator(*state) for path, state in inside.items()}
            set_space_generators(getattr(layer, name), made)


def _is_scalar(value: Any) -> bool:
    return type(value) in _SCALARS or isinstance(value, np.generic)
