"""Writing a checkpoint in another thread while training goes on, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable


class BackgroundWriter:
    """Runs one job beside the caller; the next one waits for it.

    What a job raises comes out of the next call of `submit`, `poll` or `wait`, once, with the
    traceback of the job. The thread is no daemon: a process that ends lets a job finish. The job
    must not share memory with what goes on changing meanwhile.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, job: Callable[[], object]) -> None:
        """Begin a job, after waiting for the one before.

        Raises:
            BaseException: what the one before raised; the new one is not begun then.
        """
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoint writer")
        self._thread.start()

    def poll(self) -> None:
        """Return at once.

        Raises:
            BaseException: what the job raised, if it is over and did.
        """
        if not self.busy:
            self.wait()

    def wait(self) -> None:
        """Wait until no job is running; an interrupt leaves it running.

        Raises:
            BaseException: what the job raised.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            self._error = error
