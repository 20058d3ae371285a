"""Who holds hooks and modules: registration, apart from the loop that calls them."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from hookrl.errors import InvalidType, InvalidValue, MissingKey, did_you_mean
from hookrl.hooks.base import TrainerHookBase
from hookrl.hooks.registry import HookHandle, HookRegistry
from hookrl.state import Seeds, Stateful


class HookHost:
    """Holds hooks at the ten points, and the modules whose state is the trainer's.

    Args:
        seed: root of the seeds that modules with a method ``set_seed`` receive; None: a fresh one.
    """

    collected_frames: int
    """Valid environment frames so far, frame skip included."""

    def __init__(self, seed: int | None) -> None:
        self.collected_frames = 0
        # What belongs to a trainer, hooks among it, refers to it in this way. Otherwise it would be
        # freed, with its replay buffer, not with its last user but when the garbage collector comes
        # by.
        self._itself = itself = weakref.proxy(self)
        self.hooks = HookRegistry(frames=lambda: itself.collected_frames)
        self.modules: dict[str, Any] = {}
        self.seeds = Seeds(seed)

    def register_op(
        self,
        dest: str,
        op: Callable[..., Any],
        *,
        name: str | None = None,
        priority: int = 0,
        before: str | Iterable[str] | None = None,
        after: str | Iterable[str] | None = None,
        every: int = 1,
        every_frames: int | None = None,
        once: bool = False,
        **kwargs: Any,
    ) -> HookHandle:
        """Hang an operation on a point; if it has state, that becomes part of the trainer's.

        Args:
            dest: name of one of the ten points.
            op: the operation; see `hookrl.hooks.points` for what it receives.
            name: identifies it at its point; by default derived from the operation.
            priority: smaller runs first; equal ones in order of registration.
            before: name or names, at the same point, that this one runs ahead of.
            after: name or names, at the same point, that this one runs behind.
            every: run at every so many calls.
            every_frames: run whenever another multiple of so many frames was collected.
            once: run a single time.
            **kwargs: handed to the operation at each call.

        Returns:
            A handle whose ``remove()`` takes the operation off again.

        Raises:
            InvalidValue: unknown point, a name taken, a cadence below its minimum.
            InvalidType: the operation cannot be called as the point calls it.
        """
        return self.hooks.register(
            dest,
            op,
            name=name,
            priority=priority,
            before=before,
            after=after,
            every=every,
            every_frames=every_frames,
            once=once,
            kwargs=kwargs,
        )

    register_hook = register_op  # torchrl's second name for it

    def register_module(self, module_name: str, module: Any) -> None:
        """Make the state of `module` part of the trainer's, under `module_name`.

        Raises:
            InvalidValue: if the name belongs to another module.
            InvalidType: if the module has no ``state_dict`` and ``load_state_dict``, or the
                arguments were exchanged.
        """
        if not isinstance(module_name, str):
            raise InvalidType(
                f"register_module received a {type(module_name).__name__} as name: expected "
                "register_module(name, module)."
            )
        if not isinstance(module, Stateful):
            raise InvalidType(
                f"the module {module_name!r} is a {type(module).__name__}: expected methods "
                "state_dict and load_state_dict."
            )
        if self.modules.get(module_name, module) is not module:
            raise InvalidValue(
                f"a module named {module_name!r} is registered already "
                f"({type(self.modules[module_name]).__name__}): expected another name."
            )
        if module_name not in self.modules:
            self.modules[module_name] = module
            if _is_hook(module):
                module._trainer = self._itself
                if hasattr(module, "set_seed"):
                    module.set_seed(self.seeds.sequence(module_name))

    def remove_hook(self, name: str) -> None:
        """Take every operation of the hook called `name` off its point, and forget its state.

        Its other methods, ``teardown`` among them, are no longer called.

        Raises:
            MissingKey: if no module is registered under that name.
        """
        self.complete_modules()
        if name not in self.modules:
            raise MissingKey(
                f"no hook {name!r} to remove{did_you_mean(name, self.modules)}: registered are "
                f"{', '.join(self.modules) or 'none'}."
            )
        self.hooks.remove(self.modules.pop(name))

    def swap_hook(self, name: str, hook: Any) -> None:
        """Register `hook` in place of the one called `name`, under that name.

        It hangs where its own ``register`` hangs it; among equal priorities it comes last.

        Raises:
            MissingKey: if there is none of that name; nothing is changed then, nor if `hook` cannot
                be registered.
        """
        modules, registrations = dict(self.modules), self.hooks.registrations()
        self.remove_hook(name)
        try:
            hook.register(self, name)
        except Exception:
            self.modules = modules
            self.hooks.restore(registrations)
            raise

    def complete_modules(self) -> None:
        """Register the state of every operation whose owner has some and did not say so."""
        for registration in self.hooks:
            owner = registration.owner
            known = owner is self or any(module is owner for module in self.modules.values())
            if not known and isinstance(owner, Stateful):
                name = registration.name
                if name in self.modules and not registration.explicit_name:
                    name = f"{registration.point.name}/{name}"
                self.register_module(name, owner)

    def call_methods(self, method: str) -> None:
        """Call the optional `method` of every hook that has it."""
        for call in self.hook_methods(method):
            call()

    def hook_methods(self, method: str, *args: Any) -> list[Callable[[], Any]]:
        """The optional `method` of every hook that has it, ready to be called."""
        return [
            functools.partial(call_method, hook, method, self._itself, *args)
            for hook in self.hook_objects()
            if callable(getattr(hook, method, None))
        ]

    def hook_objects(self) -> list[Any]:
        """Every hook once: those with operations, then those that are modules only.

        A foreign object whose method was registered as an operation is no hook: a method of the
        same name as one of ours means something else there.
        """
        candidates = [
            *(r.owner for r in self.hooks if r.op is r.owner or _is_hook(r.owner)),
            *(module for module in self.modules.values() if _is_hook(module)),
        ]
        return list({id(hook): hook for hook in candidates}.values())

    def inner_hooks(self) -> list[Any]:
        """The hooks that have an operation at an inner point."""
        inner = {id(r.owner) for r in self.hooks if r.point.inner}
        return [hook for hook in self.hook_objects() if id(hook) in inner]


def call_method(hook: Any, method: str, trainer: Any, *args: Any) -> None:
    """Call a method of a hook; what it raises says so."""
    try:
        getattr(hook, method)(trainer, *args)
    except BaseException as error:
        error.add_note(f"raised by {method} of hook {type(hook).__name__}")
        raise


def _is_hook(module: Any) -> bool:
    return isinstance(module, TrainerHookBase)
