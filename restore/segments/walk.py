"""The frames of a clip, segment after segment, each with those around it that its chain looks at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from restore.frame import Frame
from restore.inference.engine import Span
from restore.segments.split import Bounds, Needs


@dataclass(frozen=True)
class Item:
    """A decoded frame: its number among all of them, and that of its segment.

    ``cut`` says that a new shot begins with it, ``read`` counts what the reader met in it.
    """

    frame: Frame
    index: int
    segment: int
    cut: bool
    read: Counter[str] = field(default_factory=Counter)


@dataclass
class Segment:
    """A segment on its way; how many frames it has and where it ends is known when they have been taken."""

    number: int
    first: int
    start: Fraction
    after_cut: bool
    frames: int = 0
    end: Fraction | None = None
    before_cut: bool = False
    read: Counter[str] = field(default_factory=Counter)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.number, self.first, self.frames, self.start, self.end, self.after_cut, self.before_cut)

    @property
    def span(self) -> Span:
        """The time of its own frames on the clip's own clock, from the very beginning for the first segment."""
        return Span(None if self.first == 0 else self.start, self.end)


@dataclass(frozen=True)
class SpanOf(Span):
    """The time of the own frames of ``segment``, whose end may come later, on a clock ``factor`` times as long."""

    segment: Segment | None = None
    factor: Fraction = Fraction(1)

    def holds(self, pts: Fraction) -> bool:
        assert self.segment is not None
        return self.segment.span.times(self.factor).holds(pts)

    def times(self, factor: Fraction) -> SpanOf:
        return replace(self, factor=self.factor * factor)


class Walk:
    """Takes ``items`` one by one and hands out those of one segment after the other; ``needs`` is for all of them."""

    def __init__(self, items: Iterator[Item], needs: Needs) -> None:
        self._items = items
        self._needs = needs
        self._coming: deque[Item] = deque()
        self._passed: deque[Item] = deque(maxlen=needs.before)

    def next_segment(self, kept: set[int]) -> Segment | None:
        """The next segment that is not ``kept``, ``None`` after the last one; the one before has been gone through."""
        while (item := self._peek()) is not None and item.segment in kept:
            self._take()
        return None if item is None else Segment(item.segment, item.index, item.frame.pts, item.cut)

    def frames(self, segment: Segment) -> Generator[Frame]:
        """The frames of ``segment`` and those around it; completes ``segment`` on the way."""
        before, _ = self._needs.beside(segment.bounds)
        around = list(self._passed)[-before:] if before else []
        fresh = True
        for earlier in around:
            yield replace(earlier.frame, repeat=earlier.frame.repeat and not fresh)
            fresh = False
        del around
        while (item := self._peek()) is not None and item.segment == segment.number:
            self._take()
            segment.frames += 1
            segment.read += item.read
            # What the first frame repeats is not there.
            yield replace(item.frame, repeat=item.frame.repeat and not fresh)
            fresh = False
        if item is not None:
            segment.end, segment.before_cut = item.frame.pts, item.cut
        _, after = self._needs.beside(segment.bounds)
        for number in range(after):
            following = self._peek(number)
            if following is None or following.index != segment.first + segment.frames + number:
                return
            yield following.frame

    def _peek(self, number: int = 0) -> Item | None:
        while len(self._coming) <= number:
            item = next(self._items, None)
            if item is None:
                return None
            self._coming.append(item)
        return self._coming[number]

    def _take(self) -> None:
        item = self._coming.popleft()
        if self._passed and self._passed[-1].index != item.index - 1:
            self._passed.clear()
        self._passed.append(item)


def within(frames: Iterator[Frame], segment: Segment, factor: Fraction, needs: Needs) -> Generator[Frame]:
    """Those of ``frames`` that are of ``segment``, and around them as many as ``needs`` says.

    The times of the frames are ``factor`` times those of the source. All of ``frames`` are taken.
    """
    held: deque[Frame] = deque(maxlen=needs.beside(segment.bounds)[0])
    behind = 0
    fresh = True
    for frame in frames:
        span = segment.span.times(factor)
        if span.start is not None and frame.pts < span.start:
            held.append(frame)
            continue
        if not span.holds(frame.pts):
            behind += 1
            if behind > needs.beside(segment.bounds)[1]:
                continue
        for each in (*held, frame):
            yield replace(each, repeat=each.repeat and not fresh)
            fresh = False
        held.clear()
