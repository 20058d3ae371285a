"""A function of batches as a graph, or as it is where that cannot be."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.graph import Graph, NotCapturable


class BatchGraph:
    """Computes tensors from the entries of a batch, without gradients.

    A graph is made at the first batch, and one more for each new layout of it: shapes, types and
    names of the entries. Tensors that the function finds elsewhere, such as parameters, are read
    where they lie; what it finds as numbers is part of the graph.

    Args:
        function: from a TensorDict to tensors; pure tensor code.
        what: it does, for the warning: "judging batches", say.
        warns: say so once if it is carried out as it is after all.
    """

    def __init__(
        self,
        function: Callable[[TensorDictBase], list[torch.Tensor]],
        what: str,
        *,
        warns: bool = True,
    ) -> None:
        self._function = function
        self._what = what
        self._warns = warns
        self._graphs: dict[Any, Graph] = {}
        self.refused: str | None = None
        """Why the function is carried out as it is; None: it is not."""

    def __call__(self, batch: TensorDictBase) -> list[torch.Tensor]:
        """Return what the function returns, in fresh tensors."""
        if self.refused is None:
            try:
                return self._captured(batch)
            except NotCapturable as error:
                self.refused = str(error)
                if self._warns:
                    warnings.warn(f"{self._what} is not captured: {error}.", stacklevel=3)
        with torch.no_grad():
            return self._function(batch)

    def _captured(self, batch: TensorDictBase) -> list[torch.Tensor]:
        entries = dict(batch.items(include_nested=True, leaves_only=True))
        if not all(isinstance(entry, torch.Tensor) for entry in entries.values()):
            raise NotCapturable("a batch has entries that are no tensors")
        leaves = list(entries.values())
        layout = (
            batch.batch_size,
            *((key, leaf.shape, leaf.dtype) for key, leaf in entries.items()),
        )
        graph = self._graphs.get(layout)
        if graph is None or not graph.is_current:

            def function(*tensors: torch.Tensor) -> list[torch.Tensor]:
                value = TensorDict({}, batch_size=batch.batch_size)
                for key, tensor in zip(entries, tensors, strict=True):
                    value.set(key, tensor)
                with torch.no_grad():
                    return self._function(value)

            graph = self._graphs[layout] = Graph(function, leaves)
        return list(graph(*leaves))
