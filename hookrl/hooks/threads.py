"""Sets how many threads torch computes with while training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Compute with so many threads inside the block; None leaves the process's own number.

    The last bits of a factorisation or sum depend on how many threads share it.
    """
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)


class TorchThreads(TrainerHookBase):
    """Limits torch's threads from the start of training to its end.

    Small networks are faster on one thread: handing out work costs more than the work.

    Args:
        threads: as for ``torch.set_num_threads``.

    Raises:
        InvalidValue: if below 1.
    """

    def __init__(self, threads: int) -> None:
        if threads < 1:
            raise InvalidValue(f"TorchThreads(threads={threads}): expected at least 1.")
        self.threads = threads
        self._before: int | None = None

    def register(self, trainer: TrainerLike, name: str = "torch_threads") -> None:
        """Hang on no point: the hook acts around training."""
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Set the number, remembering the process's own."""
        self._before = torch.get_num_threads()
        torch.set_num_threads(self.threads)

    def teardown(self, trainer: TrainerLike) -> None:
        """Give the process its own number back."""
        if self._before is not None:
            torch.set_num_threads(self._before)
            self._before = None
