"""Streams through several threads: bounded, in order, and stopped together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from restore.inference.threads import start_beside
from restore.streaming import Closed, Sink, ahead


class Wrong(Exception):
    pass


@pytest.fixture(autouse=True)
def no_threads_are_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def stop_after(count: int) -> Iterator[int]:
    yield from range(count)
    raise Wrong


def test_items_come_in_order_and_few_are_made_before_they_are_wanted() -> None:
    made: list[int] = []
    room = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            if number == 3:
                room.release()
            yield number

    stream = ahead(items(), 2)
    assert not made  # nothing happens before the first one is asked for
    assert next(stream) == 0
    assert room.acquire(timeout=30)
    # One was taken, two wait, and one more has been made and finds no room.
    assert made == [0, 1, 2, 3]
    assert list(stream) == list(range(1, 20))


def test_an_error_of_the_iterator_comes_after_what_it_gave() -> None:
    stream = ahead(stop_after(3), 2)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Wrong):
        next(stream)


def test_a_stream_that_is_closed_closes_its_iterator_in_the_thread_that_ran_it() -> None:
    ended: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            ended.append(threading.current_thread().name)

    stream = ahead(items(), 2, name="made here")
    next(stream)
    stream.close()
    assert ended == ["made here"]


def test_whoever_waits_for_an_item_can_be_stopped() -> None:
    wanted = threading.Event()

    def never() -> Iterator[int]:
        wanted.wait(30)
        yield 0

    def check() -> None:
        wanted.set()
        raise Wrong

    with pytest.raises(Wrong):
        next(ahead(never(), 1, check=check))


def test_a_sink_consumes_all_and_waits_for_the_end() -> None:
    seen: list[int] = []

    def consume(items: Iterator[int]) -> None:
        seen.extend(items)
        seen.append(-1)

    with Sink(consume, 2) as sink:
        for number in range(10):
            sink.put(number)
    assert seen == [*range(10), -1]


def test_what_a_sink_raises_comes_out_where_it_is_fed_or_at_the_end() -> None:
    fed: list[int] = []

    def feed(sink: Sink[int], count: int) -> None:
        for number in range(count):
            fed.append(number)
            sink.put(number)

    def refuse(items: Iterator[int]) -> None:
        for number in items:
            if number == 2:
                raise Wrong

    with pytest.raises(Wrong), Sink(refuse, 1) as sink:
        feed(sink, 1000)
    assert fed[-1] < 10

    def fail_at_the_end(items: Iterator[int]) -> None:
        list(items)
        raise Wrong

    with pytest.raises(Wrong), Sink(fail_at_the_end, 1) as sink:
        sink.put(0)


def test_a_sink_that_is_left_by_an_error_does_not_take_its_items_for_the_whole() -> None:
    ends: list[str] = []

    def consume(items: Iterator[int]) -> None:
        try:
            list(items)
        except Closed:
            ends.append("dropped")
            raise
        ends.append("complete")

    def fail(sink: Sink[int]) -> None:
        sink.put(0)
        raise Wrong

    with pytest.raises(Wrong), Sink(consume, 3) as sink:
        fail(sink)
    assert ends == ["dropped"]


def test_a_sink_can_be_stopped_while_it_finishes_and_not_when_it_has_finished() -> None:
    def finish_until_dropped(items: Iterator[int]) -> None:
        list(items)
        while not sink.dropped:
            stopped.wait(0.01)
        raise Closed

    def finish(items: Iterator[int]) -> None:
        list(items)
        stopped.wait(30)

    stopped = threading.Event()

    def check() -> None:
        if sink_is_full.is_set():
            stopped.set()
            raise Wrong

    def fill(sink: Sink[int]) -> None:
        sink.put(0)
        sink_is_full.set()

    sink_is_full = threading.Event()
    with pytest.raises(Wrong), Sink(finish_until_dropped, 1, check=check) as sink:
        fill(sink)

    stopped.clear()
    sink_is_full.clear()
    with Sink(finish, 1, check=check) as sink:  # it was too late to stop that
        fill(sink)


def test_threads_beside_a_network_leave_it_the_number_of_threads_it_had() -> None:
    counts: list[int] = []
    started = threading.Event()
    usual = torch.get_num_threads()
    torch.set_num_threads(3)

    def count_once_started() -> None:
        started.wait(10)
        counts.append(torch.get_num_threads())

    try:
        thread = start_beside(count_once_started, "beside")
        started.set()
        thread.join()
        with ThreadPoolExecutor(1) as later:
            counts.append(later.submit(torch.get_num_threads).result())
        assert (counts, torch.get_num_threads()) == ([1, 3], 3)
    finally:
        torch.set_num_threads(usual)
