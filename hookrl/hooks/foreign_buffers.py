"""The state of torchrl's replay buffers, as tensors and plain values.

Their own ``state_dict`` holds the storage at full capacity, with nested keys joined by dots; a
fresh buffer that loads it holds other entries than were saved. Here the storage is taken apart
entry by entry, as far as it is filled; everything else (sampler, writer, transforms) is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.state import same_keys, snapshot


def buffer_state(buffer: Any) -> dict[str, Any]:
    """Return a copy of the state of a torchrl buffer."""
    state = dict(buffer.state_dict())
    state.pop("_storage")
    return {"contents": _contents(buffer), "rest": snapshot(state)}


def load_buffer_state(buffer: Any, state: Mapping[str, Any]) -> None:
    """Restore what `buffer_state` returned, into a buffer of at least that capacity.

    Raises:
        MissingKey: if the entries are not those of such a buffer; nothing is changed then.
    """
    same_keys(state, ("contents", "rest"), owner="a replay buffer")
    rest, contents = state["rest"], state["contents"]
    same_keys({**rest, "_storage": None}, buffer.state_dict(), owner="a replay buffer")
    buffer.empty()
    if contents:
        frames = len(next(iter(contents.values())))
        filled = TensorDict(batch_size=[frames])
        for key, tensor in contents.items():
            filled[key] = tensor
        buffer.storage.set(range(frames), filled)
    buffer.load_state_dict({**snapshot(dict(rest)), "_storage": buffer.storage.state_dict()})


def _contents(buffer: Any) -> dict[Any, torch.Tensor]:
    if not len(buffer):
        return {}
    stored = buffer.storage.get(range(len(buffer)))  # a copy, where a slice would be a view
    if not isinstance(stored, TensorDictBase):  # a list of transitions
        stored = torch.stack(list(stored))
    return dict(stored.items(include_nested=True, leaves_only=True))
