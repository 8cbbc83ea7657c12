"""A download in a thread of its own: how many bytes it has so far, and how it is stopped at once."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from restore.errors import Cancelled
from restore.progress import Progress

POLL_SECONDS = 0.1  # how often a waiting caller looks for news of its download, and for a request to stop
TIDY_SECONDS = 2.0  # what a stopped download gets to remove its temporary file

Result = TypeVar("Result")


class Transfer:
    """What a download and the thread that waits for it share: bytes so far, bytes in all, and a request to stop.

    The download calls ``begin``, ``add`` and ``check``, which raise ``Cancelled`` once it is asked to stop.
    """

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.stop = threading.Event()

    def begin(self, done: int, total: int | None) -> None:
        """A download begins, or begins again, with ``done`` of ``total`` bytes; ``None`` if nobody knows."""
        self.check()
        self.done, self.total = done, total or 0

    def add(self, count: int) -> None:
        """Another ``count`` bytes have come."""
        self.check()
        self.done += count

    def check(self) -> None:
        """Raise ``Cancelled`` if the download is asked to stop."""
        if self.stop.is_set():
            raise Cancelled("The download was stopped.")


def interruptible(work: Callable[[Transfer], Result], progress: Progress) -> Result:
    """Do ``work`` in a thread of its own, so that a request to stop is obeyed at once whatever it waits for.

    ``progress`` is told the bytes. Raises what ``work`` raises, and ``Cancelled`` if ``progress`` is cancelled.
    """
    transfer = Transfer()
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work(transfer))
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="restore-download", daemon=True)
    thread.start()
    try:
        while not wait([future], timeout=POLL_SECONDS).done:
            progress.check()
            if transfer.total:
                progress.advance(transfer.done, transfer.total, "bytes")
        return future.result()
    except BaseException:
        transfer.stop.set()
        thread.join(TIDY_SECONDS)
        raise
