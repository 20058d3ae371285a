"""What a crash leaves on the disk, by the little that POSIX promises.

A save is a sequence of steps (`recording`). Each changes one thing: the entries of one directory
(a name made, renamed, removed), or the content of one file. When the power fails after some of
them, then

- what was synced is there: a file's content after a sync of the file, a directory's entries after a
  sync of the directory;
- of what was not, any part may be: each change by itself may have reached the disk or not, in
  whatever order, so that a rename may be there without the making of what it renamed, a name
  without content, and content that was removed without the removal of the names above it;
- content that was not synced may be torn: cut off, zeros at the end, zeros throughout, or garbage.

A killed process, rather than a power cut, is the case in which everything is there.

Of all the combinations, `variants` takes: nothing unsynced, everything, each change alone, each one
missing, each prefix and suffix in the order of the steps, each content torn in each way while all
else is there, and, for `thorough`, each pair missing, each pair alone, and random halves.

Not in the model: a rename is never half done (one name gone, the other not yet there), a link's
target comes with the link, a directory's sync makes all of its entries durable at once, and what
lay in the folder before the first save, and the folders above it, are durable. The file systems
that are in use keep these promises.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from faults.recording import (
    Began,
    Image,
    Link,
    Made,
    Removed,
    Renamed,
    Returned,
    Step,
    Synced,
    Written,
)


@dataclass(frozen=True)
class Change:
    """Of the entries of a directory (names, each with what it then is), or of a file's content."""

    step: int
    of: int
    names: tuple[tuple[str, int | None], ...] = ()
    content: bytes | None = None


@dataclass(frozen=True)
class Crash:
    """A disk after a crash, and the saves of which it may hold the state."""

    where: str
    image: Image
    allowed: frozenset[int]
    """Numbers of saves; -1: what was there before the first, which may be nothing."""

    @property
    def key(self) -> str:
        """The same for crashes that can't be told apart."""
        text = repr((sorted(self.allowed), sorted(self.image.items())))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Journal:
    """Steps as changes of numbered files and directories, whatever they are called by then.

    Args:
        steps: what was done.
        before: what was there before, and is durable.
        first: the save whose state that is; -1: none.
    """

    def __init__(self, steps: Sequence[Step], before: Image, first: int = -1) -> None:
        self.steps = steps
        self.first = first
        self.kinds: list[Link | str] = ["directory"]
        self.entries: dict[int, dict[str, int]] = {0: {}}
        """As the running system sees them."""
        self.changes: list[Change] = []
        self.synced: dict[int, list[int]] = {}
        for name, content in sorted(before.items()):
            self._make(-1, name, content)
            if isinstance(content, bytes):
                self._change(-1, self._find(name), content=content)
        for number in range(len(self.kinds)):
            self.synced[number] = [0]
        for index, step in enumerate(steps):
            self._follow(index, step)

    def crashes(self, thorough: bool = False) -> Iterator[Crash]:
        """The disk after each step, in each variant."""
        for moment in range(1, len(self.steps) + 1):
            done = [change for change in self.changes if change.step < moment]
            pending = [change for change in done if not self._is_durable(change, moment)]
            allowed = self._allowed(moment)
            for name, lost, torn in variants(pending, thorough):
                where = f"after step {moment} ({self.steps[moment - 1]!r:.80}): {name}"
                yield Crash(where, self._image(done, lost, torn), allowed)

    def _allowed(self, moment: int) -> frozenset[int]:
        returned = began = self.first
        for step in self.steps[:moment]:
            if isinstance(step, Returned):
                returned = step.save
            elif isinstance(step, Began):
                began = step.save
        return frozenset({returned, began})

    def _is_durable(self, change: Change, moment: int) -> bool:
        return any(change.step < sync < moment for sync in self.synced.get(change.of, ()))

    def _image(self, done: list[Change], lost: set[Change], torn: dict[Change, bytes]) -> Image:
        entries: dict[int, dict[str, int]] = {}
        contents: dict[int, bytes] = {}
        for change in done:
            if change in lost:
                continue
            if change.content is not None:
                contents[change.of] = torn.get(change, change.content)
            for name, number in change.names:
                if number is None:
                    entries.setdefault(change.of, {}).pop(name, None)
                else:
                    entries.setdefault(change.of, {})[name] = number
        image: Image = {}

        def walk(directory: int, prefix: str) -> None:
            for name, number in entries.get(directory, {}).items():
                kind = self.kinds[number]
                if kind == "directory":
                    image[prefix + name] = None
                    walk(number, f"{prefix}{name}/")
                else:
                    is_link = isinstance(kind, Link)
                    image[prefix + name] = kind if is_link else contents.get(number, b"")

        walk(0, "")
        return image

    def _follow(self, index: int, step: Step) -> None:
        if isinstance(step, Made):
            self._make(index, step.path, step.content)
        elif isinstance(step, Written):
            self._change(index, self._find(step.path), content=step.content)
        elif isinstance(step, Renamed):
            (above, old), (other, new) = self._place(step.old), self._place(step.new)
            assert above == other, "a rename from one directory into another is not in the model"
            number = self.entries[above].pop(old)
            self.entries[above][new] = number
            self._change(index, above, names=((old, None), (new, number)))
        elif isinstance(step, Removed):
            above, name = self._place(step.path)
            del self.entries[above][name]
            self._change(index, above, names=((name, None),))
        elif isinstance(step, Synced):
            self.synced.setdefault(self._find(step.path), []).append(index)

    def _make(self, index: int, path: str, content: bytes | Link | None) -> None:
        above, name = self._place(path)
        number = len(self.kinds)
        is_link = isinstance(content, Link)
        self.kinds.append(content if is_link else "directory" if content is None else "file")
        self.entries[above][name] = number
        self.entries[number] = {}
        self._change(index, above, names=((name, number),))

    def _change(self, index: int, of: int, **what: object) -> None:
        self.changes.append(Change(index, of, **what))

    def _find(self, path: str) -> int:
        if path == ".":
            return 0
        above, name = self._place(path)
        return self.entries[above][name]

    def _place(self, path: str) -> tuple[int, str]:
        *above, name = path.split("/")
        number = 0
        for step in above:
            number = self.entries[number][step]
        return number, name


def distinct(crashes: Iterable[Crash]) -> list[Crash]:
    """One of each kind that can't be told apart."""
    return [*{crash.key: crash for crash in crashes}.values()]


def variants(
    pending: Sequence[Change], thorough: bool
) -> Iterator[tuple[str, set[Change], dict[Change, bytes]]]:
    """Which of the unsynced changes are lost, and which contents are torn."""
    everything = set(pending)
    yield "all that was not synced is there", set(), {}
    if not pending:
        return
    yield "nothing of it is there", everything, {}
    for n, change in enumerate(pending):
        yield f"only change {n} of it", everything - {change}, {}
        yield f"all but change {n} of it", {change}, {}
        yield f"the first {n} of it", set(pending[n:]), {}
        yield f"the last {n} of it", set(pending[: len(pending) - n]), {}
        if change.content is not None:
            for how, content in tear(change.content):
                yield f"all, with change {n} {how}", set(), {change: content}
    if thorough:
        for pair in itertools.combinations(pending, 2):
            yield "all but a pair", set(pair), {}
            yield "only a pair", everything - set(pair), {}
        generator = random.Random(len(pending))
        for _ in range(32):
            yield "a random half", {c for c in pending if generator.random() < 0.5}, {}


def tear(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What may be left of content that was not synced."""
    half = len(content) // 2
    yield "cut off in the middle", content[:half]
    yield "cut off at the end", content[:-1]
    yield "zeros in the second half", content[:half] + bytes(len(content) - half)
    yield "zeros throughout", bytes(len(content))
    yield "garbage in the second half", content[:half] + random.Random(0).randbytes(half)
