"""Keeps only some entries of each collected batch."""

from __future__ import annotations

from collections.abc import Sequence

from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.tensordicts import MASK, frame_mask


class SelectKeys(TrainerHookBase):
    """Drops every entry of the batch but those named, ahead of the hooks registered later.

    ``("collector", "mask")`` stays if the batch has it: without it frames that do not count would
    be learned from.

    Args:
        keys: entries to keep.

    Raises:
        InvalidType: for a single name instead of a sequence of them.
        InvalidValue: if nothing would be kept.
    """

    def __init__(self, keys: Sequence[NestedKey]) -> None:
        if isinstance(keys, str):
            raise InvalidType(f"keys of SelectKeys is the text {keys!r}: expected a list of keys.")
        if not keys:
            raise InvalidValue("keys of SelectKeys is empty: expected at least one entry to keep.")
        self.keys = list(keys)
        self.reads = tuple(keys)

    def register(self, trainer: TrainerLike, name: str = "select_keys") -> None:
        """Hang the hook on ``batch_process``."""
        trainer.register_op("batch_process", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, batch: TensorDictBase) -> TensorDictBase:
        """Return a batch of the chosen entries; the one that was given stays whole."""
        kept = batch.select(*self.keys)
        mask = frame_mask(batch)
        return kept if mask is None else kept.set(MASK, mask)
