"""The moments that a clip is shown at after interpolation, in exact arithmetic.

The output times are ``first + k / rate`` for whole numbers ``k``, from the first frame to the end of the last one,
however the source's frames lie in time. So 24000/1001 frames a second become 60 without drift, and a clip whose frame
rate varies becomes one whose rate is constant with the motion where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from restore.frame import Frame

TICK = Fraction(1, 1000)
"""How far containers move a frame in time: Matroska, the coarsest one in use, counts milliseconds."""

SNAP = 8
"""A source frame also counts as lying on the grid where it is off by a tick, but never by more than this part of a
step: half of a millisecond would be a step of its own at a thousand frames a second."""


@dataclass(frozen=True)
class Moment:
    """A frame to be shown from ``pts`` on, in seconds, until the next one.

    ``position`` is where it lies between two frames of the source: 0 is the first one itself, and it stays below 1.
    """

    position: Fraction
    pts: Fraction


@dataclass(frozen=True)
class Interval:
    """Two frames of the source that follow each other, and what is shown from the first to the second.

    ``second`` is ``None`` behind the last frame. There may be no moments at all, where the grid is coarse. ``end`` is
    when the second begins, or the last one ends, in seconds.
    """

    first: Frame
    second: Frame | None
    moments: tuple[Moment, ...]
    end: Fraction


def intervals(frames: Iterable[Frame], rate: Fraction, begin: Fraction | None = None) -> Iterator[Interval]:
    """Lay a grid of ``rate`` moments a second over ``frames``, which come in the order of their times.

    One frame is held back, no more. There is a moment for the very first frame, however short the clip is. Where the
    frames are only a part of a clip, ``begin`` is when the first of all is shown, and the grid is that of the whole.
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        return
    step = 1 / rate
    tolerance = min(TICK, step / SNAP)
    begin, gap = first.pts if begin is None else begin, step
    index = max(0, ceil((first.pts - tolerance - begin) / step))

    def moments(first: Frame, end: Fraction) -> Iterator[Moment]:
        nonlocal index
        while index == 0 or begin + index * step < end - tolerance:
            pts = begin + index * step
            since = pts - first.pts
            yield Moment(Fraction(0) if since <= tolerance else since / gap, pts)
            index += 1

    for second in source:
        gap = second.pts - first.pts
        yield Interval(first, second, tuple(moments(first, second.pts)), second.pts)
        first = second
    end = first.pts + (first.duration or gap)
    gap = end - first.pts
    yield Interval(first, None, tuple(moments(first, end)), end)
