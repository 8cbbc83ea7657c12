"""An encoder that does not take the machine for itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TASKS = Path("/proc/self/task")


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Give the threads of this process back the scheduling that they had, once an encoder has been opened inside.

    Where SVT-AV1 runs as root, as in most containers, it puts its own threads and the one that opens it under real-time
    scheduling (first in, first out, at the highest priority), which every thread and process that they start inherits:
    a busy one of them then keeps a processor from all others for as long as it likes.
    """
    if not hasattr(os, "sched_getscheduler") or not TASKS.is_dir():
        yield
        return
    usual, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for task in TASKS.iterdir():
            with suppress(ProcessLookupError):  # it has ended since
                thread = int(task.name)
                if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR) and usual == os.SCHED_OTHER:
                    os.sched_setscheduler(thread, usual, parameters)
