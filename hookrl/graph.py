"""A function of tensors, traced once with all it reads and writes, and compiled.

Tracing follows every tensor operation below autograd, so a backward pass is traced like any other
code, and whatever Python did in between is gone. Tensors that the function did not receive but
found somewhere (parameters, optimizer state, targets) become inputs of the graph, which reads and
writes them where they lie. It runs on fake tensors: nothing is computed, and nothing is changed.
Inputs whose length varies have a symbol for it, and one graph serves all lengths that Python did
not tell apart while it was traced.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from hookrl import decompositions
from hookrl.cuda_graph import CudaGraph, Function
from hookrl.errors import UserError

_LIFTS = {torch.ops.aten.lift_fresh.default, torch.ops.aten.lift_fresh_copy.default}

_ON_CPU = {
    # Calling kernels from C++ saves a third of the time of a small step.
    "cpp_wrapper": True,
    # Of what is left these save another fifth. Whoever calls a graph has compared layouts already.
    "size_asserts": False,
    "alignment_asserts": False,
    "scalar_asserts": False,
    # One piece of memory for what lies between two kernels.
    "memory_planning": True,
    # Products and sums in one instruction, rounded once.
    "cpp.enable_floating_point_contract_flag": "fast",
}
"""How the compiler is told to make code for a CPU."""

tracing = threading.RLock()
"""Held while a function is traced and compiled, which replaces methods of `torch.nn.Module` for the
whole process, and by who calls modules in another thread."""


class NotCapturable(UserError, RuntimeError):
    """Something cannot be part of a captured step; the text says what, and why."""


class Graph:
    """A compiled function of tensors.

    Args:
        function: returns a list of tensors; called once, with fake ones.
        examples: tensors of the shapes and types that it will be called with.
        varying: places of the examples whose first dimension is not always that long.

    Raises:
        NotCapturable: if it does more than tensor operations that are known beforehand, or cannot
            be compiled.
    """

    def __init__(
        self,
        function: Callable[..., list[torch.Tensor]],
        examples: Sequence[torch.Tensor],
        varying: Sequence[int] = (),
    ) -> None:
        self._shapes = ShapeEnv()
        mode = FakeTensorMode(shape_env=self._shapes, allow_non_fake_inputs=True)
        fakes = [
            _fake(mode, one, f"input_{place}" if place in varying else None)
            for place, one in enumerate(examples)
        ]
        self._varying = tuple(varying)
        # As they are now: what is found out about a symbol replaces it.
        sizes = (fakes[place].shape[0] for place in varying)
        self._lengths = [s.node.expr if isinstance(s, torch.SymInt) else s for s in sizes]
        module = _traced(mode, function, fakes)
        found = _lift(module)
        held = [tensor.detach() for tensor in found]
        # Parameters are what somebody may give other memory; anything else is replaced as a whole.
        self.parameters = [one for one in found if isinstance(one, torch.nn.Parameter)] or found[:1]
        """Those that it reads."""
        self._places = [*map(torch.Tensor.data_ptr, self.parameters)]
        fakes += [_fake(mode, tensor) for tensor in held]
        compiled = _compiled(module, fakes)
        self._run: Function = lambda inputs: compiled([*inputs, *held])
        if _kinds(fakes) == {"cuda"} and not varying:
            self._run = CudaGraph(self._run)
        self._known: dict[tuple[int, ...], bool] = {}

    def __call__(self, *inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        """The function; `run` is the same, and a little faster."""
        return self.run(inputs)

    def run(self, inputs: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Run the graph; what it writes is written when this returns, or on its way on a device."""
        # What `torch.no_grad` does, in a fifth of the time.
        grad = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            return self._run(inputs)
        finally:
            torch._C._set_grad_enabled(grad)

    @property
    def is_current(self) -> bool:
        """Whether the parameters that it found still lie where they did."""
        return [*map(torch.Tensor.data_ptr, self.parameters)] == self._places

    def fits(self, inputs: Sequence[torch.Tensor]) -> bool:
        """Whether it serves inputs of such lengths, where they vary."""
        lengths = tuple(len(inputs[place]) for place in self._varying)
        if lengths not in self._known:
            self._known[lengths] = self._holds(lengths)
        return self._known[lengths]

    def _holds(self, lengths: tuple[int, ...]) -> bool:
        """Whether all that was found out about the lengths while tracing is true of these."""
        symbols: dict[Any, int] = {}
        for known, length in zip(self._lengths, lengths, strict=True):
            if not isinstance(known, int):
                symbols[known] = length
            elif known != length:
                return False
        # 0 and 1 are told apart from longer ones without a record of it.
        return all(length > 1 for length in symbols.values()) and all(
            bool(guard.expr.subs(symbols)) for guard in self._shapes.guards
        )


class _StandIns(TorchDispatchMode):
    """Puts an alias, which is traced, in the place of every tensor that was found.

    Without it torch computes on small ones while it traces, since they might be constants, and what
    it computes in place would be changed for good.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in _LIFTS:  # those receive numbers that became tensors just now
            args, kwargs = tree_map_only(torch.Tensor, self._stand_in, (args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, FakeTensor):
            return tensor
        if id(tensor) not in self._known:
            self._known[id(tensor)] = tensor, torch.ops.aten.detach.default(tensor)
        return self._known[id(tensor)][1]


def _fake(mode: FakeTensorMode, tensor: torch.Tensor, varying: str | None = None) -> torch.Tensor:
    """A tensor without memory; if its length varies, with a symbol for it by this name."""
    if varying is None or len(tensor) < 2:
        return mode.from_tensor(tensor.detach(), static_shapes=True)
    sizes = [DimDynamic.DYNAMIC] + [DimDynamic.STATIC] * (tensor.dim() - 1)
    return mode.from_tensor(
        tensor.detach(),
        source=ConstantSource(varying),
        symbolic_context=StatelessSymbolicContext(dynamic_sizes=sizes),
    )


def _traced(
    mode: FakeTensorMode,
    function: Callable[..., list[torch.Tensor]],
    fakes: Sequence[torch.Tensor],
) -> GraphModule:
    def with_stand_ins(*tensors: torch.Tensor) -> list[torch.Tensor]:
        with _StandIns():
            return function(*tensors)

    faster = decompositions.CPU if _kinds(fakes) <= {"cpu"} else {}
    trace = make_fx(with_stand_ins, faster, _allow_non_fake_inputs=True)
    try:
        with tracing, mode:
            return trace(*fakes)
    except UserError:
        raise
    except Exception as error:
        first_line = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        notes = "; ".join(getattr(error, "__notes__", []))
        raise NotCapturable(f"{first_line}{f' ({notes})' if notes else ''}") from error


def _lift(module: GraphModule) -> list[torch.Tensor]:
    """Make inputs of the tensors that were found; return them in the order of those inputs."""
    graph = module.graph
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    inputs: dict[int, tuple[Node, torch.Tensor]] = {}
    for node in [node for node in graph.nodes if node.op == "get_attr"]:
        tensor = getattr(module, str(node.target))
        if id(tensor) not in inputs:
            with graph.inserting_after(last):
                last = graph.placeholder(f"found_{len(inputs)}")
            last.meta = dict(node.meta)
            inputs[id(tensor)] = last, tensor
        node.replace_all_uses_with(inputs[id(tensor)][0])
        graph.erase_node(node)
    # What a module holds, the compiler hands to the graph at each call, used or not.
    module.delete_all_unused_submodules()
    for name in [*dict(module.named_parameters()), *dict(module.named_buffers())]:
        delattr(module, name)
    module.recompile()
    return [tensor for _, tensor in inputs.values()]


def _compiled(
    module: GraphModule, examples: Sequence[torch.Tensor]
) -> Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]:
    """Return what computes the module's results from a list of tensors, which it empties."""
    from torch._functorch import config as functorch
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner

    cores: list[_Core] = []

    def compile_core(core: GraphModule, inputs: Sequence[Any], **options: Any) -> Any:
        code = compile_fx_inner(core, inputs, **options)
        cores.append(_Core(code, list(inputs), len(_results(core))))
        return code

    on_cpu = _kinds(examples) == {"cpu"}
    # Random numbers as the uncaptured step would draw them.
    options: dict[str, Any] = {"fallback_random": True, **(_ON_CPU if on_cpu else {})}
    may_alias = _may_alias(module)
    results = len(_results(module))
    try:
        # A cache of whole graphs would leave out the core.
        uncached = functorch.patch(enable_autograd_cache=False)
        with tracing, uncached, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole: Any = compile_fx(module, list(examples), compile_core, config_patches=options)
    except Exception as error:
        first_line = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise NotCapturable(f"it cannot be compiled here ({first_line})") from error
    if on_cpu and not may_alias and len(cores) == 1 and cores[0].serves(examples, results):
        # What is wrapped around it serves autograd and views, and takes as long as a small kernel.
        return cast("Callable[[list[torch.Tensor]], Any]", cores[0].code.current_callable)
    return lambda inputs: whole(*inputs)


class _Core(NamedTuple):
    """What the compiler makes of a graph without autograd, below its own wrappers."""

    code: Any
    inputs: list[Any]
    results: int

    def serves(self, examples: Sequence[torch.Tensor], results: int) -> bool:
        """Whether it takes the same inputs and gives the same number of results."""
        return (
            self.results == results
            and len(self.inputs) == len(examples)
            and all(
                isinstance(mine, torch.Tensor) and mine.shape == theirs.shape
                for mine, theirs in zip(self.inputs, examples, strict=True)
            )
        )


def _results(module: GraphModule) -> list[Any]:
    """The nodes whose values a graph returns."""
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    return list(output.args[0])


def _may_alias(module: GraphModule) -> bool:
    """Whether a result could lie in the memory of an input or of another result."""
    results = _results(module)
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    values = [node.meta.get("val") if isinstance(node, Node) else None for node in results + inputs]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    places = {tensor.untyped_storage()._cdata for tensor in tensors}
    return len(places) < len(values)


def _kinds(tensors: Sequence[torch.Tensor]) -> set[str]:
    """The kinds of device that tensors are on."""
    return {tensor.device.type for tensor in tensors}
