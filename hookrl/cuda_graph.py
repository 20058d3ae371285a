"""A function of tensors on a GPU, recorded once and launched as a whole.

A small step is hundreds of kernels that take less time to run than to launch; a CUDA graph launches
them at once. tensordict has `CudaGraphModule` for this, which waits for the device at every call
and copies every input; here nothing waits, and an input that is the tensor of the last call, as the
batch is for all minibatches of it, is not copied again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

Function = Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]]

_WARM_UP = 3
"""Ordinary runs ahead of the recording, in which kernels and libraries are loaded."""


class CudaGraph:
    """Runs a function as usual a few times, and from then on as a CUDA graph.

    Args:
        function: from tensors to tensors, all on one GPU, that depends on nothing but the values of
            its inputs and of tensors that stay where they are.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._runs = 0
        self._replay: Callable[[], None] | None = None
        self._outputs: Sequence[torch.Tensor] = ()
        self._static: list[torch.Tensor] = []
        self._taken_up: list[tuple[torch.Tensor, int] | None] = []

    def __call__(self, inputs: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Return fresh tensors, whose values are on their way."""
        if self._runs < _WARM_UP:
            self._runs += 1
            return self._function(inputs)
        if self._replay is None:
            self._static = [tensor.clone() for tensor in inputs]
            self._taken_up = [None for _ in inputs]
            self._replay, self._outputs = record(self._function, self._static)
        self._take_up(inputs)
        self._replay()
        return [output.clone() for output in self._outputs]

    def _take_up(self, inputs: Sequence[torch.Tensor]) -> None:
        """Copy what is new to where the graph reads it."""
        for place, tensor in enumerate(inputs):
            taken_up = self._taken_up[place]
            # A tensor counts how often it was written in place.
            if taken_up is None or taken_up[0] is not tensor or taken_up[1] != tensor._version:
                self._static[place].copy_(tensor, non_blocking=True)
                self._taken_up[place] = tensor, tensor._version


def record(
    function: Function, inputs: Sequence[torch.Tensor]
) -> tuple[Callable[[], None], Sequence[torch.Tensor]]:
    """Record what a function does with `inputs`, without doing it.

    Returns:
        What does it, and the tensors in which it leaves its outputs.
    """
    graph = torch.cuda.CUDAGraph()
    # Other threads go on meanwhile: one may be writing a checkpoint, for which it reads the device.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = function(inputs)
    return graph.replay, outputs
