"""The one seam between the engine and whoever watches it: how far the work is, and whether it should stop.

The engine is given a ``Progress`` and reports to it; the page, the command line, the API and the tests each listen in
their own way. ``Progress()`` with no listener is the silent one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from restore.errors import Cancelled


@dataclass(frozen=True)
class Position:
    """Where the work stands: ``done`` of ``total`` ``unit``s of the stage number ``index`` (from 0).

    The unit is ``"bytes"`` during a download and ``"tiles"`` while a network runs over a picture; ``done`` is then 2.4
    in the middle of the third tile. ``total`` may change on the way, but ``fraction`` never goes back.
    """

    stage: str
    index: int
    stages: int
    done: float
    total: float
    unit: str

    @property
    def fraction(self) -> float:
        """The part of this stage that is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


Listener = Callable[[Position], None]


class Progress:
    """Report the position of the work to ``listener`` and carry a request to stop.

    ``cancel`` may be called from any thread; the engine calls ``check`` between layers, tiles and frames. The
    listener is called in the thread that works.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener
        self._cancelled = threading.Event()
        self._place = (0, 1)
        self._stage = ("", 0, 1)

    def begin(self, stage: str, index: int = 0, stages: int = 1) -> None:
        """Say that ``stage``, number ``index`` (from 0) of ``stages``, starts now."""
        number, parts = self._place
        self._stage = (stage, number * stages + index, parts * stages)
        self.check()

    def share(self, number: int, parts: int) -> Progress:
        """The progress of part ``number`` (from 0) of ``parts`` that the work is made of.

        It has the same listener and the same request to stop; its stages are numbered as parts of the whole.
        """
        shared = Progress(self._listener)
        shared._cancelled = self._cancelled
        shared._place = self._place[0] * parts + number, self._place[1] * parts
        return shared

    def advance(self, done: float, total: float, unit: str) -> None:
        """Say that ``done`` of ``total`` ``unit``s of this stage are finished; raises ``Cancelled`` if asked to."""
        self.check()
        if self._listener is not None:
            self._listener(Position(*self._stage, done=done, total=total, unit=unit))

    def cancel(self) -> None:
        """Ask the work to stop as soon as it can."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise ``Cancelled`` if somebody asked the work to stop."""
        if self._cancelled.is_set():
            raise Cancelled("The work was stopped before it was finished; nothing was written.")


@dataclass
class Part:
    """A part of the work that a ``Meter`` watches; ``total`` is what is expected of it until it runs."""

    meter: Meter
    total: float
    done: float = 0.0

    def at(self, done: float, total: float) -> None:
        """Say that ``done`` of ``total`` of this part are finished; raises ``Cancelled`` if asked to stop."""
        self.done, self.total = done, total
        self.meter.show()


@dataclass
class Meter:
    """Progress of one stage through its parts, counted in ``unit``s.

    A part that starts again, or that turns out to be longer than expected, does not take back what was shown: the
    position stays until the work has caught up.
    """

    progress: Progress
    unit: str
    parts: list[Part] = field(default_factory=list)
    _fraction: float = 0.0

    def part(self, total: float) -> Part:
        """One more part, of which ``total`` units are expected; all of them are made before the first one runs."""
        self.parts.append(Part(self, total))
        return self.parts[-1]

    def show(self) -> None:
        """Report how far all the parts are; raises ``Cancelled`` if asked to stop."""
        total = sum(part.total for part in self.parts)
        done = max(sum(part.done for part in self.parts), self._fraction * total)
        self._fraction = done / total
        self.progress.advance(done, total, self.unit)
