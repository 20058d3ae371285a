"""What of a batch is stored, and under which names."""

from __future__ import annotations

import torch
from tensordict import TensorDictBase

from hookrl.errors import InvalidValue, MissingKey, did_you_mean
from hookrl.tensordicts import MASK

Key = tuple[str, ...]
"""The names that lead to an entry of a batch."""

Spec = dict[Key, tuple[tuple[int, ...], torch.dtype]]
"""The leaves of a transition, each with the shape of its entry and its type."""

REWARD, DONE, TERMINATED, TRUNCATED = OUTCOME = tuple(
    ("next", name) for name in ("reward", "done", "terminated", "truncated")
)


def spec_of(batch: TensorDictBase) -> Spec:
    """Return the leaves of a batch ``[envs, time]`` that are stored.

    Raises:
        MissingKey: if one of them is not there.
        InvalidValue: if rewards and flags are not ``[envs, time, 1]``, flags bool.
    """
    spec: Spec = {}
    for name in ("observation", "action"):
        value = batch.get(name)
        if value is None:
            raise missing(batch, (name,))
        if isinstance(value, torch.Tensor):
            spec[(name,)] = (tuple(value.shape[2:]), value.dtype)
            continue
        for key, leaf in value.items(include_nested=True, leaves_only=True):
            path = (key,) if isinstance(key, str) else key
            spec[(name, *path)] = (tuple(leaf.shape[2:]), leaf.dtype)
    for key in OUTCOME:
        value = batch.get(key)
        if value is None:
            raise missing(batch, key)
        if value.shape[2:] != (1,) or (key != REWARD and value.dtype != torch.bool):
            kind = "numbers" if key == REWARD else "bool"
            raise InvalidValue(
                f"replay buffer: {key} of the batch is {value.dtype} {list(value.shape)}, expected "
                f"{kind} [envs, time, 1]."
            )
        spec[key] = ((1,), value.dtype)
    return spec


def missing(batch: TensorDictBase, key: Key) -> MissingKey:
    """Return the error that says which entry a batch lacks."""
    present = sorted(batch.keys(include_nested=True, leaves_only=True), key=repr)
    # What has a place of its own is no misspelling of something else.
    known = {"observation", "action", ("next", "observation"), MASK, *OUTCOME}
    strange = [str(name) for name in present if name not in known]
    name = key if len(key) > 1 else key[0]
    return MissingKey(
        f"replay buffer: the batch lacks {name!r}{did_you_mean(str(name), strange)}; it has "
        f"{', '.join(map(repr, present))}."
    )
