"""What traced code took for constants, and whether it still is what it was.

Tracing leaves nothing of Python behind: a coefficient, the training mode of a layer or whether a
parameter is trained at all are part of the graph. They are found once and looked at before each
batch, which may itself take no longer than a millisecond. By then none of them is left in the
processor's caches, and fetching hundreds of objects from memory takes ten times as long as looking
at them. A `Glance` therefore asks first, of as little as possible, whether anything can differ.
"""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._C._dynamo.guards import dict_version

_NUMBERS = (float, str)
_ABSENT = object()
_is_trained = operator.attrgetter("requires_grad")
parameters_of = operator.itemgetter("params")
"""Those of a parameter group."""


class Glance:
    """Whether anything can have changed, told by little.

    Args:
        dictionaries: such as those of attributes, asked whether they were written to.
        tensors: asked where they lie and whether they are trained.
        groups: the parameter groups of each optimizer; so are all parameters that are in one then.
        settings: read and compared, since there are writes beside them.
        others: gives what else is compared.
    """

    def __init__(
        self,
        dictionaries: Iterable[dict[Any, Any]],
        tensors: Iterable[torch.Tensor],
        groups: Iterable[list[dict[str, Any]]] = (),
        settings: Sequence[Setting] = (),
        others: Callable[[], Iterable[Any]] = tuple,
    ) -> None:
        self._dictionaries = list({id(one): one for one in dictionaries}.values())
        self._groups = list(groups)
        known = {id(one) for some in self._groups for group in some for one in group["params"]}
        self._tensors = [*{id(one): one for one in tensors if id(one) not in known}.values()]
        self._settings = (
            [one.attributes for one in settings],
            [one.name for one in settings],
            [one.default for one in settings],
        )
        self._others = others
        self._seen: list[Any] = []
        self.is_same()

    def is_same(self) -> bool:
        """Whether all is as it was when this was asked last; the same value again is no change."""
        # Code that did not run for a while takes as long to be fetched as what it reads, so there
        # are no functions of Python's in here.
        grouped = itertools.chain(*map(parameters_of, itertools.chain(*self._groups)))
        tensors = [*grouped, *self._tensors]
        seen = [
            # Each write takes the next number of a count that all dictionaries share: what one has
            # only grows, and the sum is the same only if each is.
            sum(map(dict_version, self._dictionaries)),
            *map(torch.Tensor.data_ptr, tensors),
            *map(_is_trained, tensors),
            *map(dict.get, *self._settings),
            *self._others(),
        ]
        same = seen == self._seen
        self._seen = seen
        return same


class Constants:
    """Plain settings, modules and tensors of what is traced.

    Settings are numbers, texts, truth values and None, also in tuples; what a list or a dictionary
    holds is not watched.

    Args:
        computes: modules or callables, watched with all their modules; of those inside only what
            is public.
        hooks: other objects. Of their whole numbers only those are settings that the constructor
            takes: hooks count.
    """

    def __init__(self, computes: Iterable[Any], hooks: Iterable[Any] = ()) -> None:
        computes = list(computes)
        parts = [part for one in computes for part in parts_of(one)]
        self._of_modules = [
            setting
            for part in parts
            # What inner modules keep for themselves may have to do with acting alone.
            for setting in _settings(part, _public(part), private=any(part is c for c in computes))
        ]
        self._of_hooks = [
            setting for hook in hooks for setting in _settings(hook, _arguments(hook), private=True)
        ]
        modules = [part for part in parts if isinstance(part, nn.Module)]
        self.parameters = list({id(p): p for m in modules for p in m.parameters()}.values())
        """Those of all modules."""
        self._buffers = [one for m in modules for one in m._buffers.values() if one is not None]
        self._holders: list[dict[str, Any]] = [
            own for m in modules for own in (m._parameters, m._buffers, m._modules) if own
        ]
        self._tensors = [
            (vars(part), name)
            for part in parts
            for name, value in vars(part).items()
            if isinstance(value, torch.Tensor)
        ]
        self._objects = self._watched()
        self._places = self._places_now()
        self._dictionaries = [*(vars(part) for part in parts), *self._holders]

    def glance(
        self,
        tensors: Iterable[torch.Tensor] = (),
        *,
        dictionaries: Iterable[dict[Any, Any]] = (),
        groups: Iterable[list[dict[str, Any]]] = (),
        settings: Iterable[Setting] = (),
        others: Callable[[], Iterable[Any]] = tuple,
    ) -> Glance:
        """Return what tells whether any of this can have changed, or what is given beside it."""
        return Glance(
            [*self._dictionaries, *dictionaries],
            [*self.parameters, *self._buffers, *tensors],
            groups,
            # Hooks write to themselves.
            [*self._of_hooks, *settings],
            others,
        )

    def settings(self) -> list[Any]:
        """What the settings are now; they are equal to those of before if none has changed."""
        return [
            values_of(self._of_modules),
            values_of(self._of_hooks),
            [*map(_is_trained, self.parameters)],
        ]

    def changed(self, before: list[Any], now: list[Any]) -> list[str]:
        """Names of those that differ."""
        names = [
            [setting.called for setting in self._of_modules],
            [setting.called for setting in self._of_hooks],
            ["whether a parameter is trained"] * len(self.parameters),
        ]
        found = [
            name
            for some, old, new in zip(names, before, now, strict=True)
            for name, one, other in zip(some, old, new, strict=True)
            if one != other
        ]
        return list(dict.fromkeys(found))

    @property
    def has_same_parts(self) -> bool:
        """Whether modules and tensors are the ones that were found, none replaced by another."""
        return are_same(self._watched(), self._objects) and self._places_now() == self._places

    def _places_now(self) -> list[int]:
        """Where buffers lie; of parameters a graph knows it."""
        return [*map(torch.Tensor.data_ptr, self._buffers)]

    def _watched(self) -> list[Any]:
        objects = values_in(self._holders)
        objects += [attributes.get(name) for attributes, name in self._tensors]
        return objects


class Setting(NamedTuple):
    """A plain attribute of something."""

    attributes: dict[str, Any]
    name: str
    default: Any
    """What the class has, until somebody sets another."""
    called: str


def values_of(settings: Iterable[Setting]) -> list[Any]:
    """What settings are now."""
    return [one.attributes.get(one.name, one.default) for one in settings]


def parts_of(computes: Any) -> list[Any]:
    """A module and all modules in it; a callable that is none, and those that it has."""
    if isinstance(computes, nn.Module):
        return list(computes.modules())
    own = getattr(computes, "__dict__", {})
    inner = [part for one in own.values() if isinstance(one, nn.Module) for part in one.modules()]
    return [computes, *inner] if own else inner


def are_same(found: Sequence[Any], known: Sequence[Any]) -> bool:
    """Whether two lists hold the same objects."""
    return len(found) == len(known) and all(map(operator.is_, found, known))


def values_in(dictionaries: Iterable[dict[Any, Any]]) -> list[Any]:
    """The values of all of them, in a third of the time that a comprehension takes."""
    return [*itertools.chain.from_iterable(map(dict.values, dictionaries))]


def is_plain(value: Any) -> bool:
    """Whether it is a number, a text, a truth value, None, or a tuple of such."""
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _settings(part: Any, whole: Iterable[str], *, private: bool) -> list[Setting]:
    """The settings among the attributes; `whole` are names of those of any plain kind."""
    accepted, own, kind = set(whole), getattr(part, "__dict__", None), type(part)
    if own is None:
        return []
    names = [
        name
        for name, value in own.items()
        if (isinstance(value, _NUMBERS) and (private or name[0] != "_"))
        or (isinstance(value, bool) and name[0] != "_")
        or (name in accepted and is_plain(value))
    ]
    for name in {name: None for base in kind.__mro__ for name in vars(base)}:
        number = isinstance(getattr(kind, name, None), float)
        if number and name[0] != "_" and name not in own:
            names.append(name)
    return [
        Setting(own, name, getattr(kind, name, _ABSENT), f"{kind.__name__}.{name}")
        for name in names
    ]


def _public(part: Any) -> Iterable[str]:
    """Attributes of a module that may be whole numbers or None: not those that say its shape."""
    if type(part).__module__.startswith("torch.nn."):
        return ()
    return [name for name in vars(part) if name[0] != "_"]


def _arguments(hook: Any) -> Iterable[str]:
    return inspect.signature(type(hook).__init__).parameters
