"""What hookrl raises when the user, not the program, is at fault.

Each class is also the built-in exception that fits, so ``except ValueError`` keeps working; the
command line prints a `UserError` as one sentence and lets everything else show its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what was asked for; its text is one sentence made for the user."""

    def __str__(self) -> str:
        # KeyError would otherwise show the repr of its argument, quotes included.
        return str(self.args[0]) if self.args else ""


class InvalidValue(UserError, ValueError):
    """A value outside what is allowed."""


class InvalidType(UserError, TypeError):
    """An object of the wrong kind, or a callable with the wrong signature."""


class MissingKey(UserError, KeyError):
    """A name that does not exist where it was looked for."""


class MissingFile(UserError, FileNotFoundError):
    """A file or directory that is not there."""


class ExistingFile(UserError, FileExistsError):
    """A file or directory that would be overwritten."""


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the option nearest to `name`, or ``""``."""
    matches = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
