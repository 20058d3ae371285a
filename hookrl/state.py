"""The state protocol and the generators: a leaf that everything may import.

State is a nested mapping of tensors and plain values. `snapshot` and `restored` carry attributes
over to it and back; `Seeds` hands every component a generator of its own.
"""

from __future__ import annotations

import copy
import random
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from hookrl.errors import MissingKey


@runtime_checkable
class Stateful(Protocol):
    """Anything whose state a checkpoint can hold."""

    def state_dict(self) -> Any:
        """Return the state as tensors and plain values."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Restore it in place, or fail before anything changed."""
        ...


class LiveTensor(ABC):
    """A tensor that is as it was at one instant, though what it was taken from goes on changing.

    It is too large to be copied at once, so it is read piece by piece, in any thread.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]

    @abstractmethod
    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes of its elements in row-major order; each piece is good until the next.

        It can be read once.
        """

    @abstractmethod
    def release(self) -> None:
        """Say that nothing more of it will be read."""


@runtime_checkable
class LiveStateful(Stateful, Protocol):
    """Something whose state is too large to be copied while training waits."""

    def live_state_dict(self) -> Any:
        """Return what `state_dict` does, a `LiveTensor` for what is large, copies of the rest."""
        ...


def snapshot(value: Any) -> Any:
    """Copy one attribute into what a state may hold; arrays become tensors."""
    if isinstance(value, np.random.Generator):
        return copy.deepcopy(value.bit_generator.state)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return copy.deepcopy(value)


def restored(value: Any, like: Any) -> Any:
    """Turn a value out of a state back into the kind of thing the attribute `like` is."""
    if isinstance(like, np.random.Generator):
        generator = np.random.Generator(type(like.bit_generator)())
        generator.bit_generator.state = copy.deepcopy(value)
        return generator
    if isinstance(like, np.ndarray) and isinstance(value, torch.Tensor):
        return value.cpu().numpy().astype(like.dtype, copy=True)
    if isinstance(like, torch.Tensor) and isinstance(value, torch.Tensor):
        return value.to(like.device, like.dtype, copy=True)
    return snapshot(value)


def same_keys(state: Mapping[str, Any], expected: Iterable[str], *, owner: str) -> None:
    """Check that `state` has exactly the `expected` entries.

    Raises:
        MissingKey: naming `owner` and every entry that is missing or unexpected.
    """
    wanted = list(expected)
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    if missing or unexpected:
        parts = [f"lacks {', '.join(map(repr, missing))}"] if missing else []
        parts += [f"has unexpected {', '.join(map(repr, unexpected))}"] if unexpected else []
        raise MissingKey(f"the state for {owner} {' and '.join(parts)}.")


class Seeds:
    """A tree of independent seeds: one root, and a `numpy.random.SeedSequence` for every name.

    A component's seed depends on the root and its name alone, not on the order in which components
    are built, so adding a hook changes nobody else's random numbers.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.entropy = np.random.SeedSequence(seed).entropy

    def sequence(self, name: str) -> np.random.SeedSequence:
        """Return the seed sequence that belongs to `name`."""
        return np.random.SeedSequence(self.entropy, spawn_key=(zlib.crc32(name.encode()),))

    def numpy(self, name: str) -> np.random.Generator:
        """Return a fresh NumPy generator for `name`."""
        return np.random.default_rng(self.sequence(name))

    def torch(self, name: str) -> torch.Generator:
        """Return a fresh torch generator (CPU) for `name`."""
        return torch.Generator().manual_seed(integer_seed(self.sequence(name)))


def integer_seed(sequence: np.random.SeedSequence) -> int:
    """Return a seed of 63 bits for libraries that want an integer."""
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_process(sequence: np.random.SeedSequence) -> None:
    """Seed the process-wide generators of python, NumPy and torch, which foreign code uses."""
    python, numpy, torch_ = (integer_seed(child) for child in sequence.spawn(3))
    random.seed(python)
    np.random.seed(numpy % 2**32)
    torch.manual_seed(torch_)


def generators_state() -> dict[str, Any]:
    """Return the state of the process-wide generators as tensors and plain values."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
        "numpy": {
            "name": name,
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached_gaussian": float(cached),
        },
        "torch": torch.get_rng_state(),
    }
    for device in range(torch.cuda.device_count()):
        state[f"cuda:{device}"] = torch.cuda.get_rng_state(device)
    return state


def load_generators_state(state: Mapping[str, Any]) -> None:
    """Restore what `generators_state` returned."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    np.random.set_state(
        (
            numpy["name"],
            numpy["keys"].numpy().astype(np.uint32),
            numpy["position"],
            numpy["has_gauss"],
            numpy["cached_gaussian"],
        )
    )
    torch.set_rng_state(state["torch"])
    for device in range(torch.cuda.device_count()):
        if f"cuda:{device}" in state:
            torch.cuda.set_rng_state(state[f"cuda:{device}"], device)
