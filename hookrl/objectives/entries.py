"""Reading the entries of a batch, with an error that a user can act on."""

from __future__ import annotations

from typing import Any

from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.errors import MissingKey, did_you_mean
from hookrl.tensordicts import entry


def read_entry(tensordict: TensorDictBase, key: NestedKey, reader: str) -> Any:
    """Return ``tensordict[key]``: a tensor, or a TensorDict for the root of nested entries.

    Args:
        tensordict: the batch.
        key: name of the entry, a tuple when nested.
        reader: who reads, for the error text.

    Raises:
        MissingKey: the batch has no such entry; the text names the nearest one that it has.
    """
    value = entry(tensordict, (key,) if isinstance(key, str) else key)
    if value is None:
        value = tensordict.get(key, None)  # which knows other spellings of a key
    if value is None:
        present = [
            name if isinstance(name, str) else ".".join(name)
            for name in tensordict.keys(include_nested=True)
        ]
        wanted = key if isinstance(key, str) else ".".join(map(str, key))
        hint = did_you_mean(wanted, present) or f", which has {', '.join(sorted(present))}"
        raise MissingKey(f"{reader} reads {wanted!r}, which is not in the batch{hint}.")
    return value
