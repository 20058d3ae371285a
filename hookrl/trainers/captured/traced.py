"""The graph of a step for one layout of its sub-batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from tensordict import TensorDictBase

from hookrl.batch_graph import Leaves, leaves_of, of_leaves
from hookrl.graph import Graph
from hookrl.tensordicts import assembled


class Outcome(NamedTuple):
    """What the captured part of a step leaves."""

    sub_batch: TensorDictBase
    losses: TensorDictBase
    permitted: torch.Tensor | None
    """Whether the step was taken, bool ``[]``; None: nobody asks."""


class Captured(Protocol):
    """What is traced, as `Capture` gives it."""

    selects: bool
    """Whether it draws its sub-batch itself."""
    needs_sub_batch: bool
    """Whether anybody looks at the sub-batch afterwards."""
    inputs: list[tuple[Any, str]]
    """Hooks, and their attributes that are read anew at each step."""
    varying: list[int]
    """Places of those whose length varies from step to step."""

    def body(self, value: TensorDictBase, index: int) -> Outcome:
        """Do what the captured hooks do."""
        ...

    def tracing(self) -> contextlib.AbstractContextManager[None]:
        """Leave everything as it was before the block."""
        ...


class TracedStep:
    """The graph, and what came out of it last.

    Args:
        capture: what is captured.
        value: what its first operation receives.
        leaves: the tensors in it.
        own: tensors that hooks have prepared for this step.
        index: of the step.

    Raises:
        NotCapturable: if it cannot be traced or compiled.
    """

    def __init__(
        self,
        capture: Captured,
        value: TensorDictBase,
        leaves: Leaves,
        own: list[torch.Tensor],
        index: int,
    ) -> None:
        self._selects = capture.selects
        self._keys = [key for key, _ in leaves]
        self._batch_size = value.batch_size
        self.names: tuple[str, ...] = ()
        self._dtypes: list[torch.dtype] = []
        self._others: list[str] = []
        self._order: list[str] = []
        self._sub_batch_keys: list[Any] = []
        self._sub_batch_dims = value.batch_dims
        self._guarded = False
        self._results: Sequence[torch.Tensor] = ()
        examples = [*own, *(leaf for _, leaf in leaves)]
        with capture.tracing():
            function = self._function(capture, index, len(own))
            self.graph = Graph(function, examples, capture.varying)

    def run(self, inputs: list[torch.Tensor]) -> bool:
        """Run the graph on what was prepared and the leaves of the first value.

        Returns:
            Whether the step was taken; the host waits for it if anybody asks.
        """
        self._results = results = self.graph.run(inputs)
        self.vector = results[0]
        return not self._guarded or bool(results[1])

    @property
    def _rest(self) -> Sequence[torch.Tensor]:
        """What the graph returned behind the losses that are one number, and whether it wrote."""
        return self._results[1 + self._guarded :]

    def sub_batch(self, value: TensorDictBase) -> TensorDictBase:
        """The sub-batch of the last step, made of what its first operation received."""
        changed = self._rest[len(self._others) :]
        if self._selects:
            size = changed[0].shape[: self._sub_batch_dims] if changed else torch.Size()
            return of_leaves(self._sub_batch_keys, changed, size)
        for key, tensor in zip(self._sub_batch_keys, changed, strict=True):
            value.set(key, tensor)
        return value

    def losses(self) -> TensorDictBase:
        """The losses of the last step."""
        scalars = {
            name: scalar.to(dtype, copy=True)
            for name, dtype, scalar in zip(
                self.names, self._dtypes, self.vector.unbind(), strict=True
            )
        }
        entries = {**scalars, **dict(zip(self._others, self._rest, strict=False))}
        return assembled({name: entries[name] for name in self._order}, torch.Size())

    def _function(
        self, capture: Captured, index: int, number: int
    ) -> Callable[..., list[torch.Tensor]]:
        def function(*tensors: torch.Tensor) -> list[torch.Tensor]:
            own, leaves = tensors[:number], tensors[number:]
            for (owner, name), tensor in zip(capture.inputs, own, strict=True):
                setattr(owner, name, tensor)
            value = of_leaves(self._keys, leaves, self._batch_size)
            before = {} if capture.selects else dict(leaves_of(value))
            with torch.enable_grad():
                sub_batch, losses, permitted = capture.body(value, index)
            self._guarded = permitted is not None
            self._order = list(losses.keys())
            self._others = [name for name, loss in losses.items() if loss.numel() != 1]
            self.names = tuple(self._order)
            scalars = [
                loss if loss.numel() == 1 else loss.double().mean() for loss in losses.values()
            ]
            self._dtypes = [scalar.dtype for scalar in scalars]
            result = [torch.stack([scalar.reshape(()).double() for scalar in scalars])]
            result += [] if permitted is None else [permitted]
            result += [losses[name] for name in self._others]
            self._sub_batch_dims = sub_batch.batch_dims
            if capture.needs_sub_batch:
                changed = [
                    (key, leaf) for key, leaf in leaves_of(sub_batch) if leaf is not before.get(key)
                ]
                self._sub_batch_keys = [key for key, _ in changed]
                result += [leaf.detach() for _, leaf in changed]
            return result

        return function
