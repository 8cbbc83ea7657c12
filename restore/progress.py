"""The one seam between the engine and whoever watches it: how far the work is, and whether it should stop.

The engine is given a ``Progress`` and reports to it; the page, the command line, the API and the tests each listen in
their own way. ``Progress()`` with no listener is the silent one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from restore.errors import Cancelled

if TYPE_CHECKING:
    from restore.frame import Frame


@dataclass(frozen=True)
class Position:
    """Where the work stands: ``done`` of ``total`` ``unit``s of the stage number ``index`` (from 0).

    The unit is ``"bytes"`` during a download, ``"tiles"`` while a network runs over a picture and ``"faces"`` while it
    restores those; ``done`` is 2.4 in the middle of the third tile. ``total`` may change on the way, but ``fraction``
    never goes back.

    The parts of the work on a clip run side by side, from ``"decode"`` over its stages to ``"encode"``, and their
    positions come in turn. The unit is ``"frames"`` then, and ``total`` 0 while nobody knows how many there are.
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

Viewer = Callable[["Frame"], None]
"""Gets the frames of a clip as they come out of its chain, in their order; it must not keep them, nor take long."""


class Progress:
    """Report the position of the work to ``listener`` and carry a request to stop.

    ``cancel`` may be called from any thread; the engine calls ``check`` between layers, tiles and frames. The
    listener is called in the thread that works.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener
        self._viewer: Viewer | None = None
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
        shared = self.heard_by(self._listener)
        shared._viewer = self._viewer
        shared._place = self._place[0] * parts + number, self._place[1] * parts
        return shared

    def heard_by(self, listener: Listener | None) -> Progress:
        """A progress with another listener and the same request to stop."""
        heard = Progress(listener)
        heard._cancelled = self._cancelled
        return heard

    def seen_by(self, viewer: Viewer) -> Progress:
        """A progress with the same listener and the same request to stop, whose frames ``viewer`` gets to see."""
        seen = self.heard_by(self._listener)
        seen._viewer = viewer
        seen._place = self._place
        return seen

    def show(self, frame: Frame) -> None:
        """Let whoever wants to look see a frame of the result, in the thread that works."""
        if self._viewer is not None:
            self._viewer(frame)

    def advance(self, done: float, total: float, unit: str) -> None:
        """Say that ``done`` of ``total`` ``unit``s of this stage are finished; raises ``Cancelled`` if asked to."""
        self.check()
        if self._listener is not None:
            self._listener(Position(*self._stage, done=done, total=total, unit=unit))

    def report(self, position: Position) -> None:
        """Report the ``position`` of one of several stages that run side by side, whether to stop or not."""
        if self._listener is not None:
            number, parts = self._place
            stages = position.stages
            self._listener(replace(position, index=number * stages + position.index, stages=parts * stages))

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


FRAMES = "frames"
SHOW_SECONDS = 0.1
"""How often the positions of a clip are reported at most."""


class ClipProgress:
    """Progress of the parts of the work on a clip, which run side by side and are called ``names``.

    ``done`` counts the frames of each part, and may be written by the thread that does the part; the listener is called
    by ``tick`` alone. ``totals`` say how many frames are expected of each part, 0 where nobody knows.
    """

    def __init__(self, progress: Progress, names: Sequence[str], totals: Sequence[int]) -> None:
        self.progress, self.names, self.totals = progress, names, totals
        self.done = [0.0] * len(self.names)
        self._shown: list[tuple[float, float] | None] = [None] * len(self.names)
        self._next = 0.0

    def of_part(self, part: int) -> Progress:
        """The progress to give to a stage that is part number ``part``: of what it reports, frames count as such, and
        of anything else the fraction as that of the frame that it has in work.
        """

        def within(position: Position) -> None:
            self.tick(part, position.done if position.unit == FRAMES else position.fraction)

        return self.progress.heard_by(within)

    def tick(self, part: int = 0, begun: float = 0.0) -> None:
        """Report what has changed, if the last report is a while ago; raises ``Cancelled`` if asked to stop.

        ``begun`` is how much is done of the frame that ``part`` has in work.
        """
        self.progress.check()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SHOW_SECONDS
            self._show(part, begun)

    def finish(self) -> None:
        """Report that all parts are done, however many frames were expected; nothing can be stopped any more."""
        for index, count in enumerate(self.done):
            self._report(index, count, count)

    def _show(self, part: int, begun: float) -> None:
        counts = [count + (begun if index == part else 0.0) for index, count in enumerate(self.done)]
        known = all(self.totals)
        for index, count in enumerate(counts):
            before = self._shown[index]
            # Where one part turns out to have more frames, so do all the others.
            more = (
                self.totals[index] * other / total for other, total in zip(counts, self.totals, strict=True) if known
            )
            total = max(self.totals[index], count, *more) if known else 0.0
            self._report(index, count if before is None else max(before[0], count), total)

    def _report(self, index: int, done: float, total: float) -> None:
        if self._shown[index] != (done, total):
            self._shown[index] = done, total
            self.progress.report(Position(self.names[index], index, len(self.names), done, total, FRAMES))
