"""A function of batches as a graph, or as it is where that cannot be."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase

from hookrl.constants import Constants, Glance
from hookrl.graph import Graph, NotCapturable
from hookrl.purity import pure
from hookrl.tensordicts import items

Leaves = list[tuple[Any, torch.Tensor]]

_CHANGES = 3
"""How often a module may change before nothing is captured any more."""


class BatchGraph:
    """Computes tensors from the entries of a batch, without gradients.

    A graph is made at the first batch, and one more for each new layout of it: names, shapes, types
    and places of the entries. Tensors that the function finds elsewhere, such as parameters, are
    read where they lie; what it finds as numbers is part of the graph.

    Args:
        function: from a TensorDict to tensors; pure tensor code.
        what: it does, for the warning: "judging batches", say.
        module: what the function computes with. If a tensor or module of it is replaced by another
            one, or a plain setting of it changes, such as its training mode, graphs are made anew.
        warns: say so once if it is carried out as it is after all.
    """

    def __init__(
        self,
        function: Callable[[TensorDictBase], list[torch.Tensor]],
        what: str,
        *,
        module: Any = None,
        warns: bool = True,
    ) -> None:
        self._function = function
        self._what = what
        self._module = module if isinstance(module, torch.nn.Module) else None
        self._warns = warns
        self._graphs: dict[Any, Graph] = {}
        self._constants: Constants | None = None
        self._settings: list[Any] = []
        self._glance: Glance | None = None
        self._changes = -1
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
        self._look_at_module()
        entries = leaves_of(batch)
        keys, leaves = [key for key, _ in entries], [leaf for _, leaf in entries]
        layout = (
            batch.batch_size,
            *((key, one.shape, one.stride(), one.dtype, one.device) for key, one in entries),
        )
        graph = self._graphs.get(layout)
        if graph is None or (self._module is None and not graph.is_current):

            def function(*tensors: torch.Tensor) -> list[torch.Tensor]:
                with torch.no_grad(), pure(self._module):
                    return self._function(of_leaves(keys, tensors, batch.batch_size))

            graph = self._graphs[layout] = Graph(function, leaves)
            self._glance = None
        return list(graph(*leaves))

    def _look_at_module(self) -> None:
        """Forget graphs of a module that is no longer what they were made of."""
        module, constants = self._module, self._constants
        if module is None or (self._glance is not None and self._glance.is_same()):
            return
        if (
            constants is None
            or not constants.has_same_parts
            or constants.settings() != self._settings
            or not all(graph.is_current for graph in self._graphs.values())
        ):
            self._graphs.clear()
            self._constants = Constants([module])
            self._settings = self._constants.settings()
            self._changes += 1
            if self._changes > _CHANGES:
                raise NotCapturable(
                    f"settings or tensors of its {type(module).__name__} changed {self._changes} "
                    "times, each of which compiles"
                )
            self._glance = None
        if self._glance is None:
            assert self._constants is not None
            read = [one for graph in self._graphs.values() for one in graph.parameters]
            self._glance = self._constants.glance(read)


def leaves_of(value: TensorDictBase) -> Leaves:
    """The tensors in a TensorDict, by their keys.

    Raises:
        NotCapturable: if there is something else in it.
    """
    found: Leaves = []
    for key, entry in items(value):
        if isinstance(entry, torch.Tensor):
            found.append((key, entry))
        elif isinstance(entry, TensorDictBase):
            inner = leaves_of(entry)
            found += [((key, *k) if isinstance(k, tuple) else (key, k), leaf) for k, leaf in inner]
        else:
            raise NotCapturable(f"the entry {key!r} is a {type(entry).__name__}: expected tensors")
    return found


def of_leaves(
    keys: Sequence[Any], tensors: Sequence[torch.Tensor], batch_size: torch.Size
) -> TensorDict:
    """The inverse of `leaves_of`: a TensorDict that has the tensors under these keys."""
    value = TensorDict({}, batch_size=batch_size)
    for key, tensor in zip(keys, tensors, strict=True):
        value.set(key, tensor)
    return value
