"""Frames that show again what the one before showed, and when a clip without them moves evenly.

Animation is drawn for every second or third frame, and film at 24 frames a second is stored at 30 by showing every
fourth one twice. Encoding makes such copies differ a little, so they are found by how little they change compared with
the frames around them. Without them, the frames that are left do not lie evenly in time although they were drawn or
shot evenly: the copies were put in where the grid of the container wanted them. So their times are smoothed as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import inf

import torch
from torch import Tensor
from torch.nn import functional

from restore.frame import Frame
from restore.inference.engine import Span

BLOCK = 16
"""Side in pixels of the blocks that are compared: a mouth that moves is a change, and the noise of encoding is none."""

GRAIN = 4
"""Side in pixels of the squares averaged first: noise, and what encoding makes of detail, go; motion stays."""

LARGEST_CHANGE = 10 / 255
"""How much the block that changes most may change in a copy."""

SHARE = 0.2
"""How much less a copy changes than the frames around it do."""

DIP = 0.4
"""How much less one changes than both the frame before and the one behind it: coarse encoding repairs in the second
showing what it left out of the first."""

INVISIBLE = 2 / 255
"""A change that is none, whatever the frames around it do."""

AROUND = 6
"""Frames before and behind one that say how much the frames around it change."""

LONGEST_HOLD = Fraction(3, 10)
"""Seconds that a drawing is held at most; a picture that stands longer stands still on purpose."""

SMOOTHED = 8
"""Frames before and behind one whose times say when it would come in an even motion."""

FRAMES_HELD = AROUND + SMOOTHED + 1
"""How many frames wait at most where copies are left out and the rest comes evenly."""

CONTEXT = AROUND + 3 * SMOOTHED
"""Frames around a part of a clip by which its own are judged, and moved, as they are in the whole: most drawings are
held for three frames at most."""

LUMA = (0.299, 0.587, 0.114)


@dataclass
class Found:
    """How many of the frames that came, and are shown within ``span``, were copies."""

    copies: int = 0
    frames: int = 0
    span: Span = field(default_factory=Span)


def without_copies(frames: Iterable[Frame], found: Found) -> Generator[Frame]:
    """Leave out the frames that only show the one before again; ``found`` counts them.

    The frame that was shown for longer gets the time of its copies. One that stands still for longer than a drawing
    would be held stays as it is, frame by frame.
    """
    last: Frame | None = None
    still = False
    for frame, is_copy in _judged(frames):
        found.frames += found.span.holds(frame.pts)
        is_copy = is_copy and last is not None and frame.shot == last.shot
        if last is not None:
            held = frame.pts + frame.duration - last.pts
            still = is_copy and (still or held > LONGEST_HOLD)
            if is_copy and not still:
                found.copies += found.span.holds(frame.pts)
                last = replace(last, duration=held)
                continue
            yield last
        last = frame
    if last is not None:
        yield last


def evenly(frames: Iterable[Frame], shortest: Fraction) -> Generator[Frame]:
    """Give frames that were held for different times, by way of the grid of their container, an even pace.

    A frame moves to where a straight line through the times of those around it, within its shot, would put it; by no
    more than ``shortest``, the time of one frame of the container, so that it stays with its sound. The first frame of
    a shot, and frames that were not held at all, keep their times.
    """
    waiting: deque[Frame] = deque()
    before: deque[Fraction] = deque(maxlen=SMOOTHED)
    last: Frame | None = None
    for frame in frames:
        if waiting and waiting[-1].shot != frame.shot:
            yield from (last := _paced(waiting, before, last, shortest) for _ in range(len(waiting)))
            before.clear()
        waiting.append(frame)
        if len(waiting) > SMOOTHED:
            yield (last := _paced(waiting, before, last, shortest))
    yield from (last := _paced(waiting, before, last, shortest) for _ in range(len(waiting)))


def _paced(waiting: deque[Frame], before: deque[Fraction], last: Frame | None, shortest: Fraction) -> Frame:
    """The first frame that waits, with its time moved; the times around it are those that the source gave."""
    frame = waiting.popleft()
    times = [*before, frame.pts, *(other.pts for other in waiting)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    pts = frame.pts
    if before and gaps and max(gaps) - min(gaps) > shortest / 2:  # rounding alone is nothing to smooth
        even = _on_line(times, len(before))
        pts = min(max(even, frame.pts - shortest), frame.pts + shortest)
    pts = min(pts, frame.pts + max(frame.duration - shortest / 4, Fraction(0)))  # it ends when it did
    if last is not None:
        pts = max(pts, last.pts + shortest / 4)  # they stay in order
    before.append(frame.pts)
    return replace(frame, pts=pts, duration=frame.pts + frame.duration - pts)


def _on_line(times: list[Fraction], place: int) -> Fraction:
    """What the straight line of least squares through ``times`` has at one of their places."""
    count = len(times)
    mean = sum(times, Fraction(0)) / count
    middle = Fraction(count - 1, 2)
    slope = sum(((index - middle) * (time - mean) for index, time in enumerate(times)), Fraction(0))
    return mean + (place - middle) * slope * 12 / (count * (count * count - 1))


def _judged(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Each frame, and whether it is a copy of the one before; ``AROUND`` frames are held back."""
    waiting: deque[tuple[Frame, float]] = deque()
    changes: deque[float] = deque(maxlen=2 * AROUND + 1)
    previous: Tensor | None = None
    shot = None
    before = inf
    for frame in frames:
        coarse = previous if frame.repeat and previous is not None else _coarse(frame.pixels)
        cut = previous is None or frame.shot != shot
        change = 0.0 if previous is None else _change(previous, coarse)
        waiting.append((frame, inf if cut else change))
        if not cut:
            changes.append(change)
        previous, shot = coarse, frame.shot
        if len(waiting) > AROUND:
            yield waiting[0][0], _is_copy(waiting, changes, before)
            before = waiting.popleft()[1]
    while waiting:
        yield waiting[0][0], _is_copy(waiting, changes, before)
        before = waiting.popleft()[1]


def _is_copy(waiting: deque[tuple[Frame, float]], changes: deque[float], before: float) -> bool:
    """Whether the first frame that waits is one; ``before`` is by how much the one before it had changed."""
    change = waiting[0][1]
    if change <= INVISIBLE:
        return True
    if change > LARGEST_CHANGE:
        return False
    beside = [other for other in (before, waiting[1][1] if len(waiting) > 1 else inf) if other < inf]
    if len(beside) == 2 and change <= DIP * min(beside):
        return True
    larger = sorted(changes)[len(changes) // 2 :]
    # With drawings that are held for three frames, two thirds of the changes are none.
    moving = [other for other in larger if other > LARGEST_CHANGE] or larger
    return change <= SHARE * moving[len(moving) // 2]


def _coarse(pixels: Tensor) -> Tensor:
    """The luma ``(h, w)`` of ``pixels (3, H, W)`` in squares of ``GRAIN`` pixels."""
    weights = torch.tensor(LUMA, dtype=pixels.dtype, device=pixels.device)
    luma = torch.einsum("chw,c->hw", pixels, weights)
    return functional.avg_pool2d(luma[None, None], GRAIN, ceil_mode=True, count_include_pad=False)[0, 0]


def _change(before: Tensor, after: Tensor) -> float:
    """How much the block that changes most changes, 0 to 1; everything where the size has changed."""
    if before.shape != after.shape:
        return 1.0
    difference = (after - before).abs()[None, None]
    return float(functional.avg_pool2d(difference, BLOCK // GRAIN, ceil_mode=True, count_include_pad=False).max())
