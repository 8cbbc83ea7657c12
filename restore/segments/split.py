"""Where a clip is cut into segments: exact arithmetic on the times of its frames.

A segment ends at the first cut that comes ``seconds`` after its beginning, or in a shot that goes on twice as long
there. So where it ends follows from where it began, and the same clip is always cut up alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch

from restore.stages import Stage

LONGEST_SHARE = 2
"""How many times as long as asked for a segment becomes where there is no cut to end it at."""


@dataclass(frozen=True)
class Bounds:
    """One segment: ``frames`` frames of the source from number ``first`` on, counted from 0 in the part to restore.

    ``start`` is when the first of them is shown, on the clip's own clock, and ``end`` when the first of the next
    segment is, ``None`` in the last one. ``after_cut`` and ``before_cut`` say whether a new shot begins at these two.
    """

    number: int
    first: int
    frames: int
    start: Fraction
    end: Fraction | None
    after_cut: bool
    before_cut: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; fractions are written as "30000/1001"."""
        values: dict[str, Any] = dict(vars(self))
        return {**values, "start": str(self.start), "end": None if self.end is None else str(self.end)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Bounds:
        """The bounds that ``to_dict`` wrote; raises ``KeyError``, ``TypeError`` or ``ValueError`` for any other."""
        end = values["end"]
        return cls(
            number=int(values["number"]),
            first=int(values["first"]),
            frames=int(values["frames"]),
            start=Fraction(values["start"]),
            end=None if end is None else Fraction(end),
            after_cut=bool(values["after_cut"]),
            before_cut=bool(values["before_cut"]),
        )


class Splitter:
    """Told of frame after frame, says which of them begin a segment; none has more than ``most`` frames."""

    def __init__(self, seconds: Fraction, most: int | None = None) -> None:
        self._seconds, self._most = seconds, most
        self._began: Fraction | None = None
        self._frames = 0

    def begins(self, pts: Fraction, *, cut: bool) -> bool:
        """Whether the frame that is shown at ``pts``, the first of a shot where ``cut`` says so, begins a segment."""
        if self._began is not None and self._frames != self._most:
            length = pts - self._began
            if length < self._seconds or (not cut and length < LONGEST_SHARE * self._seconds):
                self._frames += 1
                return False
        self._began, self._frames = pts, 1
        return True


@dataclass(frozen=True)
class Needs:
    """How many frames around a segment are needed at one place of the chain; ``over_cut`` those behind a cut."""

    before: int = 0
    after: int = 0
    over_cut: int = 0

    def beside(self, bounds: Bounds) -> tuple[int, int]:
        """The frames before and after the segment ``bounds``: at a cut, only those that count over it."""
        before = 0 if bounds.after_cut or bounds.first == 0 else self.before
        return before, min(self.after, self.over_cut) if bounds.before_cut else self.after


def needs_of(stages: Sequence[Stage], rates: Sequence[Fraction]) -> tuple[Needs, ...]:
    """What is needed before the first of ``stages`` and after each of them, so that every one has its context.

    ``rates`` are the frames a second before the first stage and after each.
    """
    needs = [Needs()]
    for stage, (coming, going) in zip(reversed(stages), reversed(list(pairwise(rates))), strict=True):
        later, own = needs[0], stage.context_frames
        # Frames that come in for each that goes out; what does not divide evenly may lie one frame farther.
        each = coming / (going * stage.stretch)
        before, after, over_cut = (
            math.ceil(count * each) + (count > 0 and each != 1) for count in (later.before, later.after, later.over_cut)
        )
        needs.insert(0, Needs(own.before + before, own.after + after, own.next_shot + over_cut))
    return tuple(needs)


def context_bytes(needs: Sequence[Needs], sizes: Sequence[tuple[int, int]]) -> int:
    """What the frames around a segment take, which are held while it is worked on: ``needs`` and ``sizes`` are those
    before the first stage and after each of them.
    """
    # Before the chain those behind the segment are held as well; after a stage they go on as they come.
    frames = [needs[0].before + needs[0].after, *(need.before for need in needs[1:])]
    pixels = sum(count * width * height for count, (width, height) in zip(frames, sizes, strict=True))
    return pixels * 3 * torch.float32.itemsize
