"""TensorDicts, made and read with as little as small batches deserve.

TensorDict checks what it is given and what it is asked for. With a batch of ten frames that takes
longer than all the arithmetic; what is known to fit is put together and read here without.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

MASK = ("collector", "mask")
"""Which frames of a batch count, bool; without it all of them do."""
TRAJECTORY = ("collector", "traj_ids")
"""The episode of each frame, int64; without it one goes on until it is done."""


def assembled(entries: dict[str, Any], batch_size: torch.Size) -> TensorDict:
    """Return a TensorDict of entries that nobody looks at.

    The constructor compares every shape and device, which for seven entries takes as long as two
    small matrix products; this takes a tenth of that. Only for entries that were made to fit.

    Args:
        entries: tensors that begin with `batch_size`, or dictionaries of them.
        batch_size: of all of them.
    """
    return TensorDict._new_unsafe(entries, batch_size=batch_size)


def entry(value: Any, key: tuple[str, ...]) -> Any:
    """Return what a TensorDict has at `key`, or None: in a tenth of the time that `get` takes.

    Args:
        value: a TensorDict or tensorclass of any kind.
        key: the names that lead there.
    """
    for name in key:
        if type(value) is TensorDict:  # another kind may make its entries when asked
            value = value._tensordict.get(name)
        elif value is None or isinstance(value, torch.Tensor):
            return None
        else:
            value = value.get(name, None)
    return value


def put(value: TensorDictBase, name: str, tensor: torch.Tensor) -> None:
    """Set an entry that is known to begin with the batch size, on the right device."""
    if type(value) is TensorDict and not value.is_locked:
        value._tensordict[name] = tensor
    else:
        value.set(name, tensor)


def rows(value: TensorDictBase, index: torch.Tensor) -> TensorDictBase:
    """Return ``value[index]``, copies of some rows; names of dimensions are left out.

    Args:
        value: of batch size ``[n, …]``.
        index: int64 ``[rows]``, from 0 to n - 1.
    """
    if type(value) is not TensorDict or value.device is not None:
        return value[index]
    chosen: dict[str, Any] = {}
    for name, one in value._tensordict.items():
        if isinstance(one, torch.Tensor):
            chosen[name] = _rows_of(one, index)
        elif type(one) is TensorDict:
            chosen[name] = rows(one, index)
        else:  # it knows by itself what an index means
            return value[index]
    return assembled(chosen, torch.Size([*index.shape, *value.batch_size[1:]]))


def _rows_of(tensor: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Copies of some rows; single numbers are read as a vector, in a third of the time."""
    if tensor.dim() > 1 and tensor.numel() == len(tensor) and tensor.is_contiguous():
        return tensor.view(-1).index_select(0, index).view(*index.shape, *tensor.shape[1:])
    return tensor.index_select(0, index)


def flattened(value: TensorDictBase) -> TensorDictBase:
    """Return ``value.reshape(-1)``, views wherever they can be; names of dimensions are left out.

    Args:
        value: of any batch size; with ``n`` rows in all the result has ``[n]``.
    """
    dimensions, size = len(value.batch_size), value.batch_size.numel()
    plain = type(value) is TensorDict and value.device is None
    if not plain or not all(isinstance(one, torch.Tensor) for _, one in items(value)):
        return value.reshape(-1)
    entries = {
        name: tensor.reshape(size, *tensor.shape[dimensions:]) for name, tensor in items(value)
    }
    return assembled(entries, torch.Size([size]))


def device_of(value: TensorDictBase) -> torch.device | None:
    """Return the device of a tensor there, of the first level if it has one; None without any."""
    for _, one in items(value):
        if isinstance(one, torch.Tensor):
            return one.device
    leaves = value.values(include_nested=True, leaves_only=True)
    return next((leaf.device for leaf in leaves if isinstance(leaf, torch.Tensor)), None)


def holders(value: TensorDictBase) -> list[dict[str, Any]] | None:
    """Return the dictionaries in which a TensorDict and those in it keep their entries.

    None if one is of another kind, which may make its entries when asked.
    """
    if type(value) is not TensorDict:
        return None
    found = [value._tensordict]
    for one in value._tensordict.values():
        if isinstance(one, TensorDictBase):
            inner = holders(one)
            if inner is None:
                return None
            found += inner
    return found


def items(value: TensorDictBase) -> Iterable[tuple[str, Any]]:
    """Return the names and entries of the first level."""
    return (value._tensordict if type(value) is TensorDict else value).items()


def frame_mask(batch: TensorDictBase) -> torch.Tensor | None:
    """Return the entry `MASK` of a batch ``[envs, time]``, None if all its frames count."""
    return entry(batch, MASK)
