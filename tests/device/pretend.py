"""A device that is the host's memory under another name: what would fail or wait on a GPU shows.

``import pretend`` makes ``torch.device("pretend")`` known to this process. Its tensors cannot be
handed to NumPy, nor meet tensors of the host in one operation, as on a GPU; they compute on the
host, so real numbers flow. What would make the host wait for a GPU is counted by where hookrl asks
for it. It changes the process for good: use it in one of its own.

Generators of the device are the host's. Fake tensors of it cannot be made, so steps are eager.
"""

from __future__ import annotations

import collections
import traceback
from typing import Any

import torch
from torch import library
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
DEVICE = torch.device("cpu")
"""Replaced below, once torch knows the name."""
WAITS: collections.Counter[tuple[str, str]] = collections.Counter()
"""How often the host would have waited: for what, and the file of hookrl that asked for it."""

aten = torch.ops.aten
_INDEXING = (aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default)
_FINDING = (aten.nonzero.default, aten.masked_select.default)


class TwoDevices(RuntimeError):
    """Tensors of the host and of the device met in one operation."""


class Pretended(torch.Tensor):
    """A tensor of the device, which keeps its numbers in one of the host."""

    raw: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> Pretended:
        layout = {"strides": raw.stride(), "storage_offset": raw.storage_offset()}
        options = {"dtype": raw.dtype, "device": DEVICE, **layout}
        return torch.Tensor._make_wrapper_subclass(cls, raw.shape, **options)

    def __init__(self, raw: torch.Tensor) -> None:
        self.raw = raw

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, *args, **(kwargs or {}))


def run(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Carry out one operation on the host."""
    if op is aten._to_copy.default:
        return _copied(*args, **kwargs)
    if op is aten.copy_.default:
        return _overwritten(*args, **kwargs)
    _check(op, args, kwargs)
    known: dict[int, Pretended] = {}

    def unwrapped(tensor: Pretended) -> torch.Tensor:
        known[id(tensor.raw)] = tensor
        return tensor.raw

    inner, options = tree_map_only(Pretended, unwrapped, (args, kwargs))
    if options.get("device") is not None:
        options["device"] = "cpu"
    result = op(*inner, **options)
    return tree_map_only(
        torch.Tensor, lambda t: known[id(t)] if id(t) in known else Pretended(t), result
    )


def _copied(source: torch.Tensor, **options: Any) -> torch.Tensor:
    target = torch.device(options.pop("device", None) or source.device)
    waits = {"non_blocking": options.pop("non_blocking", False)}
    if target.type != source.device.type:
        _count_transfer(source, to_host=target.type == "cpu", **waits)
    result = aten._to_copy.default(_raw(source), **options)
    return result if target.type == "cpu" else Pretended(result)


def _overwritten(
    target: torch.Tensor, source: torch.Tensor, non_blocking: bool = False
) -> torch.Tensor:
    _count_transfer(source, to_host=not isinstance(target, Pretended), non_blocking=non_blocking)
    _raw(target).copy_(_raw(source))
    return target


def _check(op: Any, args: Any, kwargs: Any) -> None:
    """Count what waits, and refuse what a GPU would."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    of_host = [t for t in tensors if not isinstance(t, Pretended) and t.ndim]
    if op is aten._local_scalar_dense.default:
        _count("a number")
    elif op in _FINDING or (op in _INDEXING and any(_is_mask(index) for index in args[1])):
        _count("finding where")
    if of_host and op in _INDEXING and isinstance(args[0], Pretended):
        _count("indices of the host")
    elif of_host:
        raise TwoDevices(f"{op}: {[(tuple(t.shape), str(t.device)) for t in tensors]}")


def _count_transfer(source: Any, *, to_host: bool, non_blocking: bool = False) -> None:
    if to_host == isinstance(source, Pretended) and (to_host or not non_blocking):
        _count("reading" if to_host else "sending")


def _count(what: str) -> None:
    frames = [frame.filename.replace("\\", "/") for frame in traceback.extract_stack()]
    ours = [name.rpartition("/hookrl/")[2] for name in frames if "/hookrl/" in name]
    WAITS[what, ours[-1] if ours else "elsewhere"] += 1


def _is_mask(index: Any) -> bool:
    return index is not None and index.dtype == torch.bool


def _raw(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.raw if isinstance(tensor, Pretended) else tensor


class _Numbers(TorchFunctionMode):
    """Makes tensors of Python's numbers on the host, and then moves them, and the other way."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        makes = func in (torch.tensor, torch.as_tensor) and not isinstance(args[0], torch.Tensor)
        if makes and torch.device(options.get("device") or "cpu").type == NAME:
            device = options.pop("device")
            return func(*args, **options).to(device)
        if func is torch.Tensor.tolist and isinstance(args[0], Pretended):
            return args[0].cpu().tolist()
        return func(*args, **options)


class _Module:
    """What torch and tensordict ask of ``torch.pretend``."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def synchronize(self, device: Any = None) -> None:
        _count("all there is")


class _Generator:
    """Makes generators of the host, whatever the device."""

    def __new__(cls, device: Any = None) -> Any:
        return torch._C.Generator()


_setup_privateuseone_for_python_backend(NAME, _Module())
DEVICE = torch.device(NAME, 0)
_operators = library.Library("_", "IMPL")
_operators.fallback(run, "PrivateUse1")
_Numbers().__enter__()
torch.Generator = _Generator  # type: ignore[assignment,misc]
