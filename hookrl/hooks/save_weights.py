"""Writes the final weights to a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from hookrl.files import replacing
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.state import Stateful


class SaveWeights(TrainerHookBase):
    """When training ends in good order, saves the state of some parts in one file.

    ``torch.load(path, weights_only=True)`` reads it: a dictionary from each part's name to its
    ``state_dict``.

    Args:
        path: the file; it appears whole or not at all, and its directory is made if need be.
        parts: what to save, by name.
    """

    def __init__(self, path: str | Path, parts: Mapping[str, Stateful]) -> None:
        self.path = Path(path)
        self.parts = dict(parts)

    def register(self, trainer: TrainerLike, name: str = "save_weights") -> None:
        """Hang on no point: the hook acts when training ends."""
        trainer.register_module(name, self)

    def on_train_end(self, trainer: TrainerLike) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            torch.save({name: part.state_dict() for name, part in self.parts.items()}, file)
