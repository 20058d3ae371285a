"""Has the process keep memory that it freed, instead of asking the system for it again."""

from __future__ import annotations

import ctypes

from hookrl.hooks.base import TrainerHookBase, TrainerLike

_MIB = 2**20
# Of glibc's malloc.h. By default every tensor above 128 KiB to 32 MiB is mapped and unmapped anew,
# and each of its pages faults when it is first touched.
_SETTINGS = {
    -3: 64 * _MIB,  # M_MMAP_THRESHOLD: smaller pieces come from the heap
    -1: 1024 * _MIB,  # M_TRIM_THRESHOLD: the heap gives back what is free above that
    -2: 64 * _MIB,  # M_TOP_PAD: it grows by so much at a time
}


def keep_freed_memory() -> bool:
    """Have this process keep up to 1 GiB that it freed; False where its malloc is not glibc's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(what, size) for what, size in _SETTINGS.items())


class KeepFreedMemory(TrainerHookBase):
    """Has glibc reuse the memory of tensors that are gone; a process keeps 1 GiB of it at most.

    Every step makes and drops tensors of the same sizes. Where they are larger than 128 KiB, as
    with a thousand environments, page faults are a quarter to a third of the time without this.

    The process stays so after training: glibc does not tell what was set before. On other systems
    nothing happens.
    """

    def register(self, trainer: TrainerLike, name: str = "keep_freed_memory") -> None:
        """Hang on no point: the hook acts at the start of training."""
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Say so to the allocator."""
        keep_freed_memory()
