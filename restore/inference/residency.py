"""The opened networks: one bounded, locked cache that owns what is resident on the devices."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import nn

WAIT_SECONDS = 0.1


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    network: nn.Module | None = None
    size: int = 0
    users: int = 0


def size_of(network: nn.Module) -> int:
    """Bytes of the weights and buffers of a network."""
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


class Residency:
    """Networks by key, the least recently used ones dropped once all of them together are larger than ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    @contextmanager
    def lease(
        self, key: Hashable, make: Callable[[], nn.Module], check: Callable[[], None] = lambda: None
    ) -> Iterator[nn.Module]:
        """The network of ``key``, made if it is not resident, for one user at a time; others wait for it.

        While waiting, ``check`` is called several times a second; it may raise to give up.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            entry.users += 1
        try:
            while not entry.lock.acquire(timeout=WAIT_SECONDS):
                check()
            try:
                if entry.network is None:
                    entry.network = make()
                    entry.size = size_of(entry.network)
                yield entry.network
            finally:
                entry.lock.release()
        finally:
            with self._lock:
                entry.users -= 1
                if entry.network is None and entry.users == 0:
                    self._entries.pop(key, None)
                self._shrink()

    def _shrink(self) -> None:
        total = sum(entry.size for entry in self._entries.values())
        for key in [key for key, entry in self._entries.items() if entry.users == 0]:
            if total <= self.max_bytes:
                return
            total -= self._entries.pop(key).size

    def __len__(self) -> int:
        return len(self._entries)


RESIDENT = Residency(max_bytes=2 * 2**30)
