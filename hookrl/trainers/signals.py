"""Signals while training: the first one ends it in good order, a second one at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def ending_in_good_order(request_stop: Callable[[str], None]) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM inside the block into a request to stop.

    When the block is left after such a request, the process goes on as the signal would have had
    it: SIGINT raises KeyboardInterrupt, SIGTERM exits with code 143. A second signal kills the
    process at once, as if nobody had handled it. Outside of the main thread, where Python handles
    no signals, nothing is changed.

    Args:
        request_stop: receives the reason; training is to end soon after.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)
        request_stop(f"{signal.Signals(number).name} was received")

    before = {number: signal.signal(number, handle) for number in HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        if received[0] == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + received[0])
