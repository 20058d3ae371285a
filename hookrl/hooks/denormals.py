"""Rounds numbers next to zero to zero while training, which keeps the processor fast."""

from __future__ import annotations

import torch

from hookrl.hooks.base import TrainerHookBase, TrainerLike


def flushes_denormals() -> bool:
    """Return whether this thread rounds single-precision numbers below about 1e-38 to zero."""
    return bool((torch.tensor([1e-38]) * 0.01).item() == 0.0)


class FlushDenormals(TrainerHookBase):
    """Has the processor take numbers below about 1e-38 for zero, from the start to the end.

    Adam's running mean of a gradient that has become zero, as that of a ReLU unit that no longer
    fires, shrinks into this range and stays there for good. Arithmetic with such numbers is up to a
    hundred times slower: without this hook Adam takes six times as long once they fill it.

    It acts on the thread that trains, for NumPy as well, and not on torch's further threads.
    """

    def __init__(self) -> None:
        self._before: bool | None = None

    def register(self, trainer: TrainerLike, name: str = "flush_denormals") -> None:
        """Hang on no point: the hook acts around training."""
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Begin to, remembering what the thread did so far."""
        self._before = flushes_denormals()
        torch.set_flush_denormal(True)  # False where the processor cannot, which harms nothing

    def teardown(self, trainer: TrainerLike) -> None:
        """Go back to what the thread did before."""
        if self._before is not None:
            torch.set_flush_denormal(self._before)
            self._before = None
