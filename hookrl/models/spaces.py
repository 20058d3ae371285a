"""What every model needs to know of gymnasium's spaces."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from tensordict.utils import NestedKey

from hookrl.errors import InvalidType


def leaf_keys(space: spaces.Space[Any], root: str) -> list[NestedKey]:
    """Names of the batch entries that hold an element of `space`.

    Args:
        space: a Dict, nested or not, or any other space.
        root: name of the whole: ``"observation"`` or ``"action"``.

    Returns:
        ``[root]``, or for a Dict one nested key per leaf, in the order of the space.
    """

    def walk(space: spaces.Space[Any], path: tuple[str, ...]) -> list[NestedKey]:
        if isinstance(space, spaces.Dict):
            return [key for name, sub in space.spaces.items() for key in walk(sub, (*path, name))]
        return [path[0] if len(path) == 1 else path]

    return walk(space, (root,))


def unsupported_space(space: spaces.Space[Any], where: str, supported: str) -> InvalidType:
    """Return the error for a space that no model is made for.

    Args:
        space: the offender.
        where: where it was found, such as ``"observation['goal']"``.
        supported: the kinds that would have done, as part of the sentence.
    """
    return InvalidType(f"The space of {where} is {space}; supported are {supported}.")
