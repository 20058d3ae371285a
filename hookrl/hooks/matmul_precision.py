"""Sets how precisely torch multiplies float32 matrices while training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, get_args

import torch

from hookrl.errors import InvalidValue, did_you_mean
from hookrl.hooks.base import TrainerHookBase, TrainerLike

Precision = Literal["highest", "high", "medium"]


@contextlib.contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Multiply float32 matrices so precisely inside the block."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class MatmulPrecision(TrainerHookBase):
    """Trades the precision of float32 matrix products for speed, from the start to the end.

    "highest" is float32 throughout. "high" rounds factors to 10 bits of mantissa (TF32) where the
    device can, "medium" to 7 (bfloat16), on processors with such instructions as well; sums stay
    float32. It pays where products dominate, as with hidden layers of 256 units.

    Args:
        precision: as for ``torch.set_float32_matmul_precision``.

    Raises:
        InvalidValue: for another word.
    """

    def __init__(self, precision: Precision) -> None:
        if precision not in get_args(Precision):
            raise InvalidValue(
                f"MatmulPrecision(precision={precision!r})"
                f"{did_you_mean(str(precision), get_args(Precision))}: expected one of "
                f"{', '.join(get_args(Precision))}."
            )
        self.precision = precision
        self._before: str | None = None

    def register(self, trainer: TrainerLike, name: str = "matmul_precision") -> None:
        """Hang on no point: the hook acts around training."""
        trainer.register_module(name, self)

    def on_train_start(self, trainer: TrainerLike) -> None:
        """Set the precision, remembering the process's own."""
        self._before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(self.precision)

    def teardown(self, trainer: TrainerLike) -> None:
        """Give the process its own back."""
        if self._before is not None:
            torch.set_float32_matmul_precision(self._before)
            self._before = None
