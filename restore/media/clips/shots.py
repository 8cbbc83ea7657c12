"""The shots of a clip: which frames begin a new one, by PySceneDetect's measure, from the frames as they pass by.

A frame is judged together with those shortly before and after it, so that a flash, a stumble of the camera or the
flicker of old film is not taken for a cut; it has to wait for these, and few are held. What is held are frames as the
decoder gave them, which are small, wherever there is a decoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import torch
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from scenedetect import ContentDetector, FrameTimecode
from torch import Tensor
from torch.nn import functional

from restore.errors import SettingsError
from restore.frame import Frame
from restore.media.clips.planes import layout_of
from restore.media.clips.timing import Picture

T = TypeVar("T", Picture, Frame)

CUT_THRESHOLD = 27.0
"""By how much, of 255, a frame has to differ from the one before it to begin a new shot; PySceneDetect's own."""

LIGHTNESS = 0.75
"""What a difference in lightness alone counts for: without it, cuts of black-and-white film would count a third."""

AROUND_SECONDS = Fraction(1, 5)
"""How far before and after a frame is looked: longer than a flash, and shorter than most shots."""

MOST_AROUND = 12
"""Frames that are looked at to each side at most, and so that wait, where there are very many a second."""

STANDS_OUT = 2.0
"""How many times more than the frames beside it a frame has to differ, else the picture as a whole is restless."""

BESIDE = 2
"""Frames to each side that it is compared with in this."""

BACK_AGAIN = 0.5
"""The share of a change that may be left afterwards for the picture to count as back, and the change as a flash."""

STILL = 0.5
"""Where less than this changes, a frame is the one before it once more, and says nothing about restlessness."""

VISIBLE = 6.0
"""The least mean difference of R', G' and B', of 255, at a cut: the hue of what is nearly black is but noise."""

WIDTH = 256
"""Pixels in a row that are looked at, as PySceneDetect does."""

_FIRST, _SECOND = (FrameTimecode(number, 25.0) for number in (0, 1))


class Shots(Protocol):
    """Says to which shot each frame belongs.

    ``cuts`` holds the time of the first frame of each shot but the first one, as far as they are known.
    """

    @property
    def cuts(self) -> Sequence[Fraction]: ...

    def numbered(self, items: Iterable[T], look: Callable[[T], NDArray[np.uint8]]) -> Generator[T]:
        """``items`` with their ``shot``, counted from 0; ``look`` gives a small picture ``(h, w, 3)``, blue first."""
        ...


class GivenCuts:
    """Shots that somebody else has told apart: a new one begins at the frame that begins nearest to each of ``cuts``.

    The times are on the clock of the frames and rise; those that are not within the clip have no effect.
    """

    def __init__(self, cuts: Sequence[Fraction]) -> None:
        self.cuts: Sequence[Fraction] = tuple(cuts)

    def numbered(self, items: Iterable[T], look: Callable[[T], NDArray[np.uint8]]) -> Generator[T]:
        """As ``Shots.numbered``; nothing is looked at."""
        passed = 0
        shot = -1
        for item in items:
            before = passed
            while passed < len(self.cuts) and self.cuts[passed] <= item.pts + item.duration / 2:
                passed += 1
            if shot < 0 or passed > before:
                shot += 1
            yield replace(item, shot=shot)


@dataclass(frozen=True)
class _Look:
    """What a frame looks like: its small picture, and by how much that differs from the one before."""

    picture: NDArray[np.uint8]
    change: float


class FoundCuts:
    """Shots that are found as the frames pass by.

    A frame begins a shot if it differs from the one before by ``threshold`` of 255 or more, in hue, saturation and
    lightness as PySceneDetect's ``ContentDetector`` has them or in lightness alone (which is all that black-and-white
    film has), if it does so much more than the frames beside it, and if neither this change is undone at once nor
    itself undoes one. Fades and dissolves, which change little from frame to frame, are no cuts.

    ``rate`` is the number of frames a second: from 5 on, a fifth of a second is looked at to each side of a frame.
    Raises ``SettingsError`` for a threshold that is none.
    """

    def __init__(self, rate: Fraction, threshold: float = CUT_THRESHOLD) -> None:
        if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not 0 < threshold <= 255:
            raise SettingsError(f"cut_threshold is {threshold!r}: give a number above 0, at most 255 (usually 27).")
        self.cuts: list[Fraction] = []
        self._threshold = threshold
        self._around = min(MOST_AROUND, int(rate * AROUND_SECONDS))

    def numbered(self, items: Iterable[T], look: Callable[[T], NDArray[np.uint8]]) -> Generator[T]:
        """As ``Shots.numbered``; a frame comes out when those that are looked at after it have been taken in."""
        self.cuts = []
        past: deque[_Look] = deque(maxlen=self._around + 1)
        coming: deque[_Look] = deque()
        waiting: deque[T] = deque()
        newest: NDArray[np.uint8] | None = None

        def judged() -> T:
            item, now = waiting.popleft(), coming.popleft()
            if self._begins_a_shot(past, now, coming):
                self.cuts.append(item.pts)
            past.append(now)
            return replace(item, shot=len(self.cuts))

        for item in items:
            picture = look(item)
            coming.append(_Look(picture, 0.0 if newest is None else difference(newest, picture)))
            waiting.append(item)
            newest = picture
            del item
            if len(waiting) > self._around:
                yield judged()
        while waiting:
            yield judged()

    def _begins_a_shot(self, past: Sequence[_Look], now: _Look, coming: Sequence[_Look]) -> bool:
        if not past or now.change < self._threshold or not _is_visible(past[-1].picture, now.picture):
            return False
        beside = [*_restless(islice(reversed(past), self._around)), *_restless(coming)]
        if beside and now.change < STANDS_OUT * sorted(beside)[(len(beside) - 1) // 2]:
            return False
        back = BACK_AGAIN * now.change
        begins_flash = any(difference(past[-1].picture, later.picture) < back for later in coming)
        ends_flash = any(difference(earlier.picture, now.picture) < back for earlier in list(past)[:-1])
        return not begins_flash and not ends_flash


def _restless(looks: Iterable[_Look]) -> list[float]:
    """The changes of the first ``BESIDE`` frames that are not the ones before them once more."""
    return [look.change for look in looks if look.change > STILL][:BESIDE]


def shots_by(cuts: Sequence[Fraction] | None, rate: Fraction, threshold: float) -> Shots:
    """Shots by ``cuts``, or where these are ``None`` found at ``rate`` frames a second; as ``FoundCuts`` raises."""
    found = FoundCuts(rate, threshold)
    return found if cuts is None else GivenCuts(cuts)


class _Measure(ContentDetector):  # type: ignore[misc]
    """PySceneDetect's measure of how much two pictures differ, without its verdict."""

    def of(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
        self._last_frame = None
        self._calculate_frame_score(_FIRST, one)
        return float(self._calculate_frame_score(_SECOND, other))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How much two pictures ``(h, w, 3)``, blue first, differ, from 0 to 255.

    The mean of the differences in hue, saturation and lightness, or where it is larger ``LIGHTNESS`` times that in
    lightness: pictures without colour differ in nothing else. Pictures of different sizes differ altogether.
    """
    if one.shape != other.shape:
        return 255.0
    return max(_Measure().of(one, other), LIGHTNESS * _Measure(luma_only=True).of(one, other))


def _is_visible(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    return one.shape != other.shape or float(np.abs(one.astype(np.int16) - other).mean()) >= VISIBLE


def look_at_decoded(picture: Picture, width: int, height: int) -> NDArray[np.uint8]:
    """A picture as ``Shots.numbered`` looks at it, of a clip of this size, which a decoded frame may leave on the way.

    Raises ``InputError`` for a format that cannot be read.
    """
    frame: VideoFrame = picture.frame
    layout_of(frame.format.name)
    few_columns = min(width, WIDTH)
    few_rows = max(1, round(height * few_columns / width))
    few = frame.reformat(width=few_columns, height=few_rows, format="bgr24", interpolation="AREA")
    return np.ascontiguousarray(few.to_ndarray(), dtype=np.uint8)


def look_at_frame(frame: Frame) -> NDArray[np.uint8]:
    """A frame as ``Shots.numbered`` looks at it."""
    step = max(1, frame.width // WIDTH)
    few: Tensor = frame.pixels
    if min(frame.height, frame.width) >= step > 1:
        few = functional.avg_pool2d(few[None], step)[0]
    blue_first = few.flip(0).mul(255).round_().clamp_(0, 255).to(torch.uint8)
    return np.ascontiguousarray(blue_first.permute(1, 2, 0).cpu().numpy())
