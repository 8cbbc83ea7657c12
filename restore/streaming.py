"""Streams of items through several threads, with bounded memory, that stop together.

``ahead`` runs an iterator in a thread of its own, ``Sink`` a consumer. Between the two lies the thread that owns both:
whatever goes wrong in any of the three, or a request to stop, ends all three before the error comes out here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from types import TracebackType
from typing import Generic, TypeVar

from restore.inference.threads import start_beside

T = TypeVar("T")

POLL_SECONDS = 0.1
"""How often somebody who waits for another thread looks whether to stop."""


class Closed(Exception):
    """The other side of a channel has gone, and wants no more or has no more to give."""


class Channel(Generic[T]):
    """Hands items from one thread to another, and holds at most ``size`` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False

    def put(self, item: T, check: Callable[[], None] | None = None) -> None:
        """Wait for room and hand ``item`` over. Raises ``Closed`` once nobody takes any more, and what ``check`` does.

        ``check`` is called again and again while there is no room.
        """
        self._wait(lambda: self._closed or len(self._items) < self._size, check)
        with self._changed:
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self, check: Callable[[], None] | None = None) -> T:
        """Wait for an item and take it; raises ``Closed`` after the last one, and what ``check`` does."""
        self._wait(lambda: self._closed or self._ended or bool(self._items), check)
        with self._changed:
            if self._closed or not self._items:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """Say that nothing more will be put; what is held can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what is held, and let nobody wait any longer on either side."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool], check: Callable[[], None] | None) -> None:
        while True:
            if check is not None:
                check()
            with self._changed:
                if self._changed.wait_for(ready, None if check is None else POLL_SECONDS):
                    return


def ahead(
    items: Iterable[T], size: int, *, check: Callable[[], None] | None = None, name: str = "ahead"
) -> Generator[T]:
    """``items``, taken from their iterator in a thread of its own, at most ``size`` of them before they are wanted.

    ``check`` is called while there is nothing to give, and may raise. An error of the iterator comes out here. When
    this generator ends or is closed, the iterator is closed too, in its own thread, and the thread has ended.
    """
    channel: Channel[T] = Channel(size)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            iterator = iter(items)
            with closing(iterator) if isinstance(iterator, Generator) else nullcontext():
                for item in iterator:
                    channel.put(item)
                    del item  # else it would be kept while the next one is made
        except Closed:
            pass
        except BaseException as error:
            errors.append(error)
        finally:
            channel.end()

    thread = start_beside(work, name)
    try:
        while True:
            try:
                item = channel.get(check)
            except Closed:
                break
            yield item
            del item
    finally:
        channel.close()
        thread.join()
    if errors:
        raise errors[0]


class Sink(Generic[T]):
    """Runs ``consume`` in a thread of its own, over the items that are put, at most ``size`` of which wait.

    Use it as a context: leaving it in the ordinary way ends the items and waits until ``consume`` has returned. Leaving
    it by an exception makes the iterator that ``consume`` reads raise ``Closed``, so that it cannot take what it has
    for the whole, and waits until it has given up. What ``consume`` raises comes out of ``put`` or at the end.

    ``check`` is called by whoever waits, and may raise.
    """

    def __init__(
        self,
        consume: Callable[[Iterator[T]], None],
        size: int,
        *,
        check: Callable[[], None] | None = None,
        name: str = "sink",
    ) -> None:
        self._consume, self._check, self._name = consume, check, name
        self._channel: Channel[T] = Channel(size)
        self._dropped = threading.Event()
        self._done = threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> Sink[T]:
        self._thread = start_beside(self._work, self._name)
        return self

    def put(self, item: T) -> None:
        """Hand ``item`` over; raises what ``consume`` raised, if it did."""
        try:
            self._channel.put(item, self._check)
        except Closed:
            self._thread.join()
            if self._error is None:
                raise
            raise self._error from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stopped: BaseException | None = error
        if stopped is None:
            self._channel.end()
            try:
                while not self._done.wait(POLL_SECONDS):
                    if self._check is not None:
                        self._check()
            except BaseException as late:
                stopped = late
        if stopped is not None:
            self._dropped.set()
            self._channel.close()
        self._thread.join()
        if error is None and self._error is not None:
            # Without an error, a request to stop came too late: the work is done.
            raise self._error if stopped is None else stopped

    @property
    def dropped(self) -> bool:
        """Whether what was put is not wanted any more, so that ``consume`` should give up where it is."""
        return self._dropped.is_set()

    def _work(self) -> None:
        try:
            self._consume(self._items())
        except BaseException as error:
            self._error = error
        finally:
            self._channel.close()
            self._done.set()

    def _items(self) -> Iterator[T]:
        while True:
            try:
                item = self._channel.get()
            except Closed:
                if self.dropped:
                    raise
                return
            yield item
            del item
