"""Random generators as plain values: NumPy's new and old ones, Python's, torch's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

_BIT_GENERATORS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.MT19937,
        np.random.Philox,
        np.random.SFC64,
    )
}
"""The only classes that a snapshot may ask for by name."""


def pack_generator(value: Any) -> tuple[str, Any] | None:
    """Return the kind of a generator and its state, as arrays and plain values; None: it is none.

    The state of a NumPy generator includes the seed sequence that it spawns children from.
    """
    kind = type(value)
    if kind is np.random.Generator and type(value.bit_generator).__name__ in _BIT_GENERATORS:
        sequence = value.bit_generator.seed_seq
        spawning = sequence.state if isinstance(sequence, np.random.SeedSequence) else None
        return "numpy", {"state": value.bit_generator.state, "seed_sequence": spawning}
    if kind is np.random.RandomState:
        return "numpy.RandomState", value.get_state(legacy=False)
    if kind is random.Random:
        version, words, gauss = value.getstate()
        return "python", {"version": version, "words": np.array(words), "gauss": gauss}
    if kind is torch.Generator:
        return "torch", {"device": str(value.device), "state": value.get_state()}
    return None


def unpack_generator(kind: str, state: Any) -> Any:
    """Return a new generator in the state that `pack_generator` gave."""
    if kind == "numpy":
        make = _BIT_GENERATORS[state["state"]["bit_generator"]]
        spawning = state["seed_sequence"]
        sequence = None if spawning is None else np.random.SeedSequence(**spawning)
        bit_generator = make(sequence)
        bit_generator.state = state["state"]
        return np.random.Generator(bit_generator)
    if kind == "numpy.RandomState":
        legacy = np.random.RandomState(_BIT_GENERATORS[state["bit_generator"]]())
        legacy.set_state(state)
        return legacy
    if kind == "python":
        python = random.Random()
        python.setstate((state["version"], tuple(state["words"].tolist()), state["gauss"]))
        return python
    if kind == "torch":
        generator = torch.Generator(state["device"])
        generator.set_state(state["state"])
        return generator
    raise KeyError(f"unknown generator {kind!r}")
