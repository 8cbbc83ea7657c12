"""Threads that work beside a network."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

_lock = threading.Lock()


def start_beside(work: Callable[[], None], name: str) -> threading.Thread:
    """Start ``work``, which raises nothing, in a thread whose operations of torch use one processor each.

    Decoding and encoding take many small steps, which several threads of torch make slower, and what processors there
    are belong to the network.
    """
    ready = threading.Event()

    def run() -> None:
        torch.get_num_threads()  # a thread that never asked takes the number over later, and forgets its own
        torch.set_num_threads(1)
        ready.set()
        work()

    thread = threading.Thread(target=run, name=name, daemon=True)
    with _lock:
        # The number counts for the thread that sets it, and also for every thread that is started later on.
        usual = torch.get_num_threads()
        thread.start()
        ready.wait()
        torch.set_num_threads(usual)
    return thread
