"""Ctrl-C and its kin: the first asks the work to stop, the later ones insist."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from restore.progress import Progress


@dataclass
class Stop:
    """The signal that asked this process to stop, if one did."""

    signal: int | None = None


@contextmanager
def stoppable(progress: Progress) -> Iterator[Stop]:
    """Let the first SIGINT or SIGTERM ask ``progress`` to stop.

    A second one raises ``KeyboardInterrupt`` where the program just is, so that it tidies up at least; a third one ends
    the process whatever it does.
    """
    stop = Stop()
    # A signal that the parent had ignored (nohup, a job in the background) stays ignored.
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]

    def ask(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        progress.cancel()
        for each in ours:
            signal.signal(each, insist)

    def insist(number: int, frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in ours}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
