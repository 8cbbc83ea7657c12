"""Keep the memory of activations mapped while a network runs on the CPU.

glibc gives every large block back to the kernel as soon as it is freed, so each layer of each tile pays for fresh pages
again: on a compact network that costs about half the speed. Inside ``reuse`` large blocks come from a heap that is not
trimmed; on leaving it the heap is given back. Elsewhere than on glibc nothing changes.

Threads that glibc gives a heap of their own get it in pieces of 64 MiB, which are unmapped as soon as they are empty
and too small for a large frame. ``one_heap`` keeps new threads from that: they share the heap of the main thread,
which grows and stays. Blocks of many sizes leave holes in it, so that a process may come to hold twice what is alive;
a ``Bound`` gives holes back where that would be more than was meant for it.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import psutil

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8
# What glibc's own adaptation arrives at in a program that uses large blocks; setting any of them turns it off.
_USUAL = {_TRIM_THRESHOLD: 64 * 2**20, _TOP_PAD: 128 * 2**10, _MMAP_THRESHOLD: 32 * 2**20, _MMAP_MAX: 65536}
_KEEP = {_TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20, _MMAP_MAX: 0}

_STEP = 128 * 2**20
"""By so much a process has to grow before it is worth while to look for holes again."""

_lock = threading.Lock()
_users = 0


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt") else None


def one_heap() -> None:
    """Let threads that start from now on share the heap of the main thread, as long as the process lives."""
    library = _glibc()
    if library is not None:
        library.mallopt(_ARENA_MAX, 1)


@contextmanager
def reuse() -> Iterator[None]:
    """Keep freed memory for the next layer until the last user leaves; safe to nest and to use from several threads."""
    global _users
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _users += 1
        if _users == 1:
            one_heap()
            for parameter, value in _KEEP.items():
                library.mallopt(parameter, value)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for parameter, value in _USUAL.items():
                    library.mallopt(parameter, value)
                library.malloc_trim(0)


@dataclass
class Bound:
    """Keeps the process at ``most`` bytes, as long as what is alive in it takes no more.

    Whoever uses memory calls ``keep`` now and then, between two layers for instance.
    """

    most: int
    _again: int = field(default=0, init=False)

    def keep(self) -> None:
        """Give the holes between blocks back to the kernel where the process has grown too large."""
        library = _glibc()
        if library is None or resident_bytes() <= max(self.most, self._again):
            return
        library.malloc_trim(0)
        self._again = resident_bytes() + _STEP


def resident_bytes() -> int:
    """The memory that this process holds."""
    return int(psutil.Process().memory_info().rss)
