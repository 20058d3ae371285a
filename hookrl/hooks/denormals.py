"""Rounds numbers next to zero to zero while training, which keeps the processor fast."""

from __future__ import annotations

import ctypes

import torch

from hookrl.hooks.base import TrainerHookBase, TrainerLike

_ENVIRONMENT = 256
"""Bytes, more than any processor's floating-point environment takes."""


def flushes_denormals() -> bool:
    """Return whether this thread rounds single-precision numbers below about 1e-38 to zero."""
    return bool((torch.tensor([1e-38]) * 0.01).item() == 0.0)


def flush_denormals(flush: bool) -> None:
    """Have this thread round so or not, and torch's further threads with it.

    Those exist for good once there are some, and torch tells them nothing. So each of them is made
    to take up the floating-point environment of this one (`fesetenv` of C), by the runtime that
    torch runs them with; where that is not GNU's they stay as they are.
    """
    torch.set_flush_denormal(flush)  # False where the processor cannot, which harms nothing
    threads, library = torch.get_num_threads(), ctypes.CDLL(None)
    functions = ("GOMP_parallel", "fegetenv", "fesetenv")
    if threads > 1 and all(hasattr(library, name) for name in functions):
        environment = ctypes.create_string_buffer(_ENVIRONMENT)
        library.fegetenv(environment)
        take_up = ctypes.cast(library.fesetenv, ctypes.c_void_p)
        library.GOMP_parallel(take_up, environment, threads, 0)


class FlushDenormals(TrainerHookBase):
    """Has the processor take numbers below about 1e-38 for zero, from the start to the end.

    Adam's running mean of a gradient that has become zero, as that of a ReLU unit that no longer
    fires, shrinks into this range and stays there for good. Arithmetic with such numbers is up to a
    hundred times slower: without this hook Adam takes six times as long once they fill it.

    It acts on the thread that trains, for NumPy as well, and on torch's further threads.
    """

    def __init__(self) -> None:
        self._before: bool | None = None

    def register(self, trainer: TrainerLike, name: str = "flush_denormals") -> None:
        """Hang on no point: the hook acts around training."""
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Begin to, remembering what the thread did so far."""
        self._before = flushes_denormals()
        flush_denormals(True)

    def teardown(self, trainer: TrainerLike) -> None:
        """Go back to what the thread did before."""
        if self._before is not None:
            flush_denormals(self._before)
            self._before = None
