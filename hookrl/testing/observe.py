"""Watches a trainer from outside: what it logs, learns from and saves, and what a hook touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tensordict import TensorDictBase, is_tensor_collection
from tensordict.utils import NestedKey, unravel_key

from hookrl.checkpoints import decode, encode
from hookrl.hooks.base import TrainerHookBase
from hookrl.hooks.pace import Pace, taken_apart
from hookrl.state import Stateful
from hookrl.testing.compare import frozen
from hookrl.trainers.describe import METHODS

FIRST, LAST = -(10**9), 10**9
"""Priorities ahead of and behind every hook."""


class Trace:
    """Records a run of a trainer, and ends it after so many batches.

    Args:
        trainer: recorded from now on; its checkpoints are kept here instead of being written.
        batches: training is asked to stop after as many.
        keep_states: keep the trainer's state after every batch, as a checkpoint would hold it.
        seen: batches recorded before the trainer's state was taken; the record goes on from there.
    """

    def __init__(
        self,
        trainer: Any,
        batches: int,
        *,
        keep_states: bool = False,
        seen: list[dict[str, Any]] | None = None,
    ) -> None:
        self.batches: list[dict[str, Any]] = list(seen or [])
        """Of each batch: metrics, losses, sub-batches, and the batch itself."""
        self.states: list[Any] = []
        """The trainer's state after each batch, if states are kept."""
        self.environment_keys: set[NestedKey] = set()
        """Entries of the first batch, as the collector gave it."""
        self._trainer = trainer
        self._wanted = batches
        self._keep_states = keep_states
        name = "check_hook"
        trainer.register_op("batch_process", self._begin, name=name, priority=FIRST)
        trainer.register_op("post_optim_log", self._step, name=name, priority=LAST)
        trainer.register_op("post_steps_log", self._end, name=name, priority=LAST)

    def train(self) -> None:
        """Train, recording."""
        report = self._trainer.log

        def log(metrics: Mapping[str, Any]) -> None:
            told = {key: value for key, value in metrics.items() if not key.startswith("time/")}
            self.batches[-1]["metrics"].append(frozen(told))
            report(metrics)

        def save_trainer(force_save: bool = False) -> None:
            if self._keep_states and not force_save:
                skeleton, tensors = encode(self._trainer.state_dict())
                self.states.append(decode(skeleton, frozen(tensors)))

        with (
            mock.patch.object(self._trainer, "log", log),
            mock.patch.object(self._trainer, "save_trainer", save_trainer),
        ):
            self._trainer.train()

    def outcome(self, after: int = 0) -> dict[str, Any]:
        """Everything recorded behind the first `after` batches, and the parameters at the end."""
        numbered = {f"batch {i + 1}": seen for i, seen in enumerate(self.batches) if i >= after}
        loss_module = self._trainer.loss_module
        weights = loss_module.state_dict() if isinstance(loss_module, Stateful) else {}
        return {**numbered, "weights": frozen(weights)}

    def _begin(self, batch: TensorDictBase) -> None:
        if not self.environment_keys:
            self.environment_keys = set(batch.keys(True, True))
        self.batches.append({"metrics": [], "losses": [], "sub_batches": [], "batch": None})

    def _step(self, sub_batch: TensorDictBase) -> None:
        self.batches[-1]["losses"].append(frozen(self._trainer.losses))
        self.batches[-1]["sub_batches"].append(frozen(sub_batch))

    def _end(self, batch: TensorDictBase) -> None:
        self.batches[-1]["batch"] = frozen(batch)
        if len(self.batches) == self._wanted:
            self._trainer.request_stop("check_hook has seen enough")


class WatchedOperation:
    """An operation of a hook, in place of which it is registered, so that its calls can be seen.

    What it declares is hidden from the trainer: the watcher checks it.
    """

    def __init__(self, point: str, op: Callable[..., Any], watch: Watch) -> None:
        self.point = point
        self.op, pace = taken_apart(op)
        self.pace = pace._asdict() if pace != Pace() else {}
        """The interval of the hook's own, as the trainer's ``register_op`` takes it."""
        self.declared_reads = _keys(op, "reads")
        self.declared_writes = _keys(op, "writes")
        self.calls = 0
        self.handle: Any = None
        """What the trainer returned for it."""
        self._watch = watch
        # The trainer looks for the name, the signature and the hook behind these.
        self.__name__ = getattr(op, "__name__", "call")
        self.__wrapped__ = op
        owner = getattr(op, "__self__", None)
        if owner is not None or isinstance(op, TrainerHookBase):
            self.__self__ = op if owner is None else owner
        else:  # a callable object is taken for a hook where it is the operation itself
            for method in ("prepare", *METHODS):
                if hasattr(op, method):
                    setattr(self, method, getattr(op, method))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Be called as the operation would be."""
        self.calls += 1
        return self._watch(self, args, kwargs)


Watch = Callable[[WatchedOperation, tuple[Any, ...], dict[str, Any]], Any]
"""Carries out a call of an operation with its arguments, and looks at it."""


@contextmanager
def watched_registration(trainer: Any, watch: Watch) -> Iterator[list[WatchedOperation]]:
    """Inside the block, every operation registered with `trainer` is watched; gives their list."""
    operations: list[WatchedOperation] = []
    register_op = trainer.register_op

    def watched(dest: str, op: Any, **options: Any) -> Any:
        if not callable(op):
            return register_op(dest, op, **options)  # which says what is wrong with it
        operation = WatchedOperation(dest, op, watch)
        operation.handle = register_op(dest, operation, **{**operation.pace, **options})
        operations.append(operation)
        return operation.handle

    with (
        mock.patch.object(trainer, "register_op", watched),
        mock.patch.object(trainer, "register_hook", watched),
    ):
        yield operations


def just_call(operation: WatchedOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The watch that only lets the operation do its work."""
    return operation.op(*args, **kwargs)


def first_tensordict(args: tuple[Any, ...]) -> TensorDictBase | None:
    """The batch or losses that an operation was called with, if its point gives any."""
    return args[0] if args and is_tensor_collection(args[0]) else None


def keys_of(data: TensorDictBase) -> set[NestedKey]:
    """Names of all entries, nested TensorDicts as well as what is in them."""
    return set(data.keys(include_nested=True))


def _keys(op: Any, attribute: str) -> tuple[NestedKey, ...]:
    keys = getattr(op, attribute, ())
    return tuple(unravel_key(key) for key in keys) if isinstance(keys, tuple | list) else ()
