"""Processes that have imported everything before they begin, so that they can be killed at once.

Importing takes seconds, a life in `kills` takes one. So one process imports, and trains a little
for what is imported late. It forks whenever it reads a task, answers with the pid, and is asked
later how that process ended: until then the pid is nobody else's. Only a process with a single
thread is safely forked, which is checked.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_PATIENCE = 120.0
"""Seconds in which anything that is waited for should have happened."""


@dataclass(frozen=True)
class Event:
    """Something that a process has noted while it went on."""

    time: float
    """As ``time.monotonic`` tells it."""
    what: str
    value: Any


class Life:
    """A process that was begun, as its parent sees it.

    Args:
        nursery: which began it.
        pid: of the process.
        notes: the file into which it writes what happens.
        begun: when.
    """

    def __init__(self, nursery: Nursery, pid: int, notes: Path, begun: float) -> None:
        self.pid = pid
        self.notes = notes
        self.begun = begun
        self._nursery = nursery

    def events(self) -> list[Event]:
        """Return what it has noted so far.

        Raises:
            AssertionError: if it has failed.
        """
        lines = self.notes.read_text().split("\n")[:-1] if self.notes.exists() else []
        events = [Event(*json.loads(line)) for line in lines]
        for event in events:
            assert event.what != "failed", event.value
        return events

    def wait_for(self, wanted: Callable[[Event], bool]) -> bool:
        """Wait until it has noted what is wanted; False: it has come to its end without."""
        limit = time.monotonic() + _PATIENCE
        while time.monotonic() < limit:
            events = self.events()
            if any(wanted(event) for event in events):
                return True
            if any(event.what == "ended" for event in events):
                return False
            time.sleep(0.001)
        raise AssertionError(f"process {self.pid} does not get on: {self.events()[-3:]}")

    def wait_for_end(self) -> None:
        """Wait until it has done all that it was to do."""
        self.wait_for(lambda event: event.what == "ended")

    def end(self) -> int:
        """Wait until it is over; return its exit code, minus a signal's number if one ended it."""
        return self._nursery.wait()


class Nursery:
    """The process that forks, as its parent sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._living: int | None = None

    def begin(self, task: dict[str, Any], notes: Path) -> Life:
        """Begin a life, after the end of the one before."""
        self.close()
        begun = time.monotonic()
        self._living = self.ask(json.dumps({**task, "notes": str(notes)}))
        return Life(self, self._living, notes, begun)

    def wait(self) -> int:
        """Wait for the life that was begun."""
        self._living = None
        return self.ask("wait")

    def close(self) -> None:
        """End the life that was begun, unless it was waited for."""
        if self._living is not None:
            os.kill(self._living, signal.SIGKILL)
            self.wait()

    def ask(self, line: str) -> int:
        """Send a line, return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery has come to an end"
        return int(answer)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery, for as long as it is used."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, "-m", "faults.nursery"],
        env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        found = Nursery(process)
        try:
            found.ask("hello")  # answered when all is imported
            yield found
        finally:
            found.close()


def main() -> None:
    """Read tasks and begin a life for each."""
    from faults.kills import lead, warm_up

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a life prints is no answer
    with tempfile.TemporaryDirectory() as folder:
        warm_up(Path(folder))
    pid = 0
    for line in sys.stdin:
        if line == "hello\n":
            answer = os.getpid()
        elif line == "wait\n":
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            threads = Path("/proc/self/task")
            assert not threads.exists() or len([*threads.iterdir()]) == 1
            answer = pid = os.fork()
            if pid == 0:
                lead(**json.loads(line))
                os._exit(0)
        answers.write(f"{answer}\n")
        answers.flush()


if __name__ == "__main__":
    main()
