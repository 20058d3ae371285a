"""The checks behind `hookrl.hooks.check_hook`, one function each, in the order they are run."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any, Generic

from tensordict import TensorDictBase
from tensordict.utils import NestedKey

from hookrl.checkpoints import decode, encode
from hookrl.errors import InvalidValue, UserError
from hookrl.hooks.base import TrainerHookBase
from hookrl.hooks.check import HookCheckError
from hookrl.testing.compare import Difference, difference, frozen
from hookrl.testing.observe import (
    Trace,
    WatchedOperation,
    first_tensordict,
    just_call,
    keys_of,
    watched_registration,
)
from hookrl.testing.reads import UnsuitableData, check_reads, check_that_it_can_read
from hookrl.testing.setting import BATCHES, NAME, Setting, process_left_alone, told


def run_checks(
    factory: Callable[..., Any],
    *,
    batch: TensorDictBase | None,
    trainer: Callable[[], Any] | None,
) -> None:
    """Run every check; see `hookrl.hooks.check_hook`."""
    with process_left_alone():
        setting = Setting(factory, batch, trainer)
        for check in CHECKS:
            check(setting)


def check_factory(setting: Setting) -> None:
    """Every call makes a new instance, with ``register`` and state."""
    one, two = setting.hook(setting.trainer()), setting.hook(setting.trainer())
    if one is two:
        raise setting.fail(
            "factory", "the factory returned the same instance twice", "a fresh one at every call"
        )
    for method in ("register", "state_dict", "load_state_dict"):
        if not callable(getattr(one, method, None)):
            raise setting.fail(
                "factory", f"it has no method {method}", "register, state_dict and load_state_dict"
            )


def check_registration(setting: Setting) -> None:
    """``register`` works with a name and without, and side by side under two names."""
    for names, how in (
        ((), "register(trainer)"),
        ((NAME,), f"register(trainer, {NAME!r})"),
        ((f"{NAME}_1", f"{NAME}_2"), "register of two instances under two names"),
    ):
        trainer = setting.trainer()
        modules, operations = set(trainer.modules), len(list(trainer.hooks))
        for name in names or (None,):
            hook = setting.hook(trainer)
            try:
                hook.register(trainer) if name is None else hook.register(trainer, name)
                trainer.complete_modules()
            except Exception as error:
                raise setting.fail(
                    "registration",
                    f"{how} raised {told(error)}",
                    "it to hang on valid points, with fitting signatures",
                ) from error
            if name is not None and trainer.modules.get(name) is not hook:
                own = [key for key, module in trainer.modules.items() if module is hook]
                raise setting.fail(
                    "registration",
                    f"after register(trainer, {name!r}) its state goes by "
                    f"{', '.join(map(repr, own)) or 'no name at all'}",
                    f"register_module({name!r}, self)",
                )
        if set(trainer.modules) == modules and len(list(trainer.hooks)) == operations:
            raise setting.fail(
                "registration",
                "register(trainer) registered no operation and no module",
                "at least one of them",
            )


def check_training(setting: Setting) -> None:
    """A short run succeeds, changes nothing in place, and writes what is declared."""
    trainer = setting.trainer()
    hook = setting.hook(trainer)

    def watch(operation: WatchedOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        data = first_tensordict(args)
        if data is None:
            return operation.op(*args, **kwargs)
        if operation.calls == 1:
            check_that_it_can_read(setting, operation, data)
        given = _entries(data, trace.environment_keys)
        before = frozen(given)
        result = operation.op(*args, **kwargs)
        changed = difference(before, frozen(given)) or difference(
            before, frozen(_entries(data, trace.environment_keys))
        )
        if changed is not None:
            raise setting.fail(
                "environment",
                f"{operation.__name__} at {operation.point!r} changed {_where(changed)} in place, "
                f"from {changed.one} to {changed.other}",
                "what the environment gave to stay as it is, and results under keys of their own",
            )
        if operation.calls == 1:
            present = keys_of(result if isinstance(result, TensorDictBase) else data)
            for key in operation.declared_writes:
                if key not in present:
                    raise setting.fail(
                        "writes",
                        f"{operation.__name__} at {operation.point!r} declares to write {key!r} "
                        "and did not",
                        "every declared key to be there after the first call",
                    )
        return result

    with watched_registration(trainer, watch):
        hook.register(trainer, NAME)
    trace = Trace(trainer, BATCHES)
    try:
        trace.train()
    except (HookCheckError, UnsuitableData):
        raise
    except Exception as error:
        raise setting.fail(
            "training",
            f"a run of {BATCHES} batches raised {told(error)}",
            "it to train; if it needs other data or another loss, give batch= or trainer=",
        ) from error
    if len(trace.batches) < 2:
        raise InvalidValue(
            f"training with {setting.kind} ended after {len(trace.batches)} batches "
            f"({trainer.stop_reason or 'total_frames were reached'}): expected at least 2, so that "
            "it can be continued from the middle."
        )


def check_state(setting: Setting) -> None:
    """The state goes through the codec into a fresh instance and comes out the same."""
    trainer, hook = setting.registered()
    setting.train(trainer)
    state = hook.state_dict()
    try:
        skeleton, tensors = encode(state)
    except UserError as error:
        raise setting.fail(
            "state", f"a checkpoint cannot hold it: {told(error)}", "tensors and plain values"
        ) from error
    tensors = frozen(tensors)
    _, fresh = setting.registered()
    try:
        fresh.load_state_dict(decode(skeleton, tensors))
    except Exception as error:
        raise setting.fail(
            "state",
            f"a fresh instance refused the state of a used one: {told(error)}",
            "load_state_dict to take what state_dict gives",
        ) from error
    found = difference(frozen(decode(skeleton, tensors)), frozen(fresh.state_dict()))
    if found is not None:
        raise setting.fail(
            "state",
            f"after loading, {_where(found)} is {found.other} instead of {found.one}",
            "state_dict to give what load_state_dict took",
        )


def check_continuation(setting: Setting) -> None:
    """A fresh trainer that loads a checkpoint trains on exactly as the first one does."""
    trainer, _ = setting.registered()
    went_on = setting.train(trainer, keep_states=True)
    middle = len(went_on.batches) // 2
    fresh, _ = setting.registered()
    resumed = Trace(fresh, len(went_on.batches), seen=went_on.batches[:middle])
    try:
        fresh.load_state_dict(went_on.states[middle - 1])
        resumed.train()
    except Exception as error:
        raise setting.fail(
            "continuation",
            f"resumed after batch {middle}, training raised {told(error)}",
            "a fresh trainer with a fresh hook to load a checkpoint and go on",
        ) from error
    found = difference(went_on.outcome(middle), resumed.outcome(middle))
    if found is not None:
        raise setting.fail(
            "continuation",
            f"resumed after batch {middle}, {_where(found)} is {found.other} instead of "
            f"{found.one} without the interruption",
            "everything the hook goes on from to be in its state",
        )


def check_sharing(setting: Setting) -> None:
    """Training with one instance leaves another as it was."""
    trainer, _ = setting.registered()
    _, other = setting.registered()
    before = _inside(other)
    setting.train(trainer)
    found = difference(before, _inside(other))
    if found is not None:
        raise setting.fail(
            "sharing",
            f"training with one instance changed {_where(found)} of another from {found.one} to "
            f"{found.other}",
            "each to have its own (look for a mutable class attribute or default argument, or an "
            "object that the factory hands to all)",
        )


def check_removal(setting: Setting) -> None:
    """Removed, the hook leaves the trainer as if it had never been there."""
    without = setting.train(setting.trainer())
    trainer = setting.trainer()
    modules = set(trainer.modules)
    with watched_registration(trainer, just_call) as operations:
        setting.hook(trainer).register(trainer, NAME)
    for operation in operations:
        operation.handle.remove()
    for name in set(trainer.modules) - modules:
        del trainer.modules[name]
    try:
        removed = setting.train(trainer)
    except Exception as error:
        raise setting.fail(
            "removal",
            f"after removing all its operations, training raised {told(error)}",
            "training as without it",
        ) from error
    found = difference(without.outcome(), removed.outcome())
    if found is not None:
        raise setting.fail(
            "removal",
            f"after removing all its operations, {_where(found)} is {found.other} instead of "
            f"{found.one} without it",
            "register to change nothing but what it registers",
        )


CHECKS: tuple[Callable[[Setting], None], ...] = (
    check_factory,
    check_registration,
    check_training,
    check_reads,
    check_state,
    check_continuation,
    check_sharing,
    check_removal,
)


def _entries(data: TensorDictBase, keys: set[NestedKey]) -> dict[NestedKey, Any]:
    """Those of the entries `keys` that `data` has."""
    return {key: data.get(key) for key in keys_of(data) & keys}


def _inside(hook: Any) -> dict[str, Any]:
    """The state of a hook, its attributes, and those of its classes."""
    own_classes = [
        kind
        for kind in type(hook).__mro__
        if kind not in (object, ABC, TrainerHookBase) and kind is not Generic
    ]
    shared = {
        f"{kind.__name__}.{name}": value
        for kind in own_classes
        for name, value in vars(kind).items()
        if not (name.startswith(("__", "_abc_")) or callable(value) or hasattr(value, "__get__"))
    }
    return {
        "state": frozen(hook.state_dict()),
        "attributes": frozen(dict(getattr(hook, "__dict__", {}))),
        "class attributes": frozen(shared),
    }


def _where(found: Difference) -> str:
    return found.where if found.where.startswith("the ") else repr(found.where)
