"""When each decoded picture is shown: exact, rising, without gaps, and cut to what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from av.video.frame import VideoFrame

TURNED_BACK = Fraction(1)
"""Seconds by which times must fall for the clip to count as joined from parts, each with a clock of its own."""


@dataclass(frozen=True)
class NewClock:
    """The clock of a file that a clip is written to: time ``t`` of the source becomes ``t * stretch - zero``.

    All in seconds.
    """

    zero: Fraction = Fraction(0)
    stretch: Fraction = Fraction(1)

    @classmethod
    def of(cls, beginning: Fraction, start: Fraction | None, stretch: Fraction) -> NewClock:
        """The clock on which ``start`` is zero, where a part was cut out, or ``beginning`` is where it was."""
        if start is not None:
            return cls(start * stretch, stretch)
        return cls(beginning * (stretch - 1), stretch)

    def at(self, time: Fraction) -> Fraction:
        """What ``time`` of the source becomes."""
        return time * self.stretch - self.zero


@dataclass(frozen=True)
class Picture:
    """A decoded frame, the second at which it is shown, for how long, and the number of the shot it belongs to."""

    frame: VideoFrame
    pts: Fraction
    duration: Fraction
    shot: int = 0

    @property
    def end(self) -> Fraction:
        return self.pts + self.duration


@dataclass
class Clock:
    """Gives decoded frames their times, and counts what had to be made up.

    ``usual`` is how many seconds a frame lasts where the clip does not say.
    """

    usual: Fraction
    synthesised: int = 0
    mended: int = 0

    def timed(self, frames: Iterator[VideoFrame]) -> Iterator[Picture]:
        """Each frame with its time from the container; it lasts until the next one, and the last as long as it says.

        A frame without a time follows the one before it. One whose time does not rise is put between the one before
        and the next; where times fall by more than ``TURNED_BACK``, everything that follows is moved along.
        """
        waiting: Picture | None = None
        moved = Fraction(0)
        for frame in frames:
            tick = frame.time_base or Fraction(0)
            said = frame.duration * tick
            if frame.pts is None or not tick:
                self.synthesised += 1
                pts = waiting.end if waiting else Fraction(0)
            else:
                pts = frame.pts * tick + moved
                if waiting and pts <= waiting.pts:
                    self.mended += 1
                    if waiting.pts - pts > TURNED_BACK:
                        moved += waiting.end - pts
                        pts = waiting.end
                    else:
                        # Half as long as usual, so that the times that follow catch up.
                        pts = waiting.pts + waiting.duration / 2
            if waiting:
                yield replace(waiting, duration=pts - waiting.pts)
            waiting = Picture(frame, pts, said if said > 0 else self.usual)
        if waiting:
            yield waiting


def cut(pictures: Iterator[Picture], start: Fraction | None, end: Fraction | None) -> Iterator[Picture]:
    """The pictures from ``start`` to ``end``, the first beginning and the last ending exactly there.

    A picture belongs to the cut if the middle of its time lies in it, so cuts that follow each other share none and
    lose none. Where no middle does, the picture that is shown at ``start`` is all there is.
    """
    before: Picture | None = None
    waiting: Picture | None = None
    for picture in pictures:
        middle = picture.pts + picture.duration / 2
        if start is not None and middle < start:
            before = picture
            continue
        if end is not None and middle >= end:
            if waiting is None:
                shown = before if before and _lasts(before, start) else picture
                waiting = _first(shown, before, start)
            if waiting.pts < end:
                yield replace(waiting, duration=end - waiting.pts)
            return
        if waiting:
            yield waiting
        waiting = picture if waiting else _first(picture, before, start)
    if waiting is None and before and _lasts(before, start):
        waiting = _first(before, before, start)
    if waiting:
        last = waiting.end if end is None else min(waiting.end, end)
        yield replace(waiting, duration=last - waiting.pts)


def _lasts(picture: Picture, start: Fraction | None) -> bool:
    """Whether ``picture`` is still shown at ``start``."""
    return start is not None and picture.end > start


def _first(picture: Picture, before: Picture | None, start: Fraction | None) -> Picture:
    """``picture`` shown from ``start`` on, unless the clip itself begins later."""
    if start is None or (before is None and picture.pts > start):
        return picture
    return replace(picture, pts=start, duration=picture.end - start)
