"""Where a clip cuts from one shot to the next, by PySceneDetect, from the frames as they pass by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from scenedetect import ContentDetector, FrameTimecode
from scenedetect.detector import FlashFilter
from torch import Tensor

from restore.frame import Frame

LEAST_SECONDS = Fraction(1, 5)
"""How long a shot lasts at least: short enough for fast editing, and too long for a flash."""

WIDTH = 256
"""Pixels in a row that are looked at, as PySceneDetect does."""


class CutFinder:
    """Watches frames on their way, and notes the cuts between them.

    ``rate`` is the number of frames a second. ``cuts`` holds the time of the first frame of each shot but the first
    one; the cut before a frame is in it when that frame comes out of ``watch``.
    """

    def __init__(self, rate: Fraction) -> None:
        self.cuts: list[Fraction] = []
        self._rate = rate
        least = max(1, round(LEAST_SECONDS * rate))
        # A cut is named as soon as it is seen, and what follows it too closely is none.
        self._detector = ContentDetector(min_scene_len=least, filter_mode=FlashFilter.Mode.SUPPRESS)
        self._number = 0

    def watch(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """``frames``, unchanged."""
        for frame in frames:
            # PySceneDetect counts frames; their times are ours, which are exact and may vary.
            number = FrameTimecode(self._number, self._rate)
            if self._detector.process_frame(number, small(frame.pixels)):
                self.cuts.append(frame.pts)
            self._number += 1
            yield frame


def small(pixels: Tensor) -> NDArray[np.uint8]:
    """R'G'B' ``(3, H, W)`` as PySceneDetect wants it: ``(h, w, 3)``, 8 bits, blue first, ``WIDTH`` wide or more."""
    step = max(1, pixels.shape[2] // WIDTH)
    few = pixels[:, ::step, ::step].flip(0).mul(255).round_().clamp_(0, 255).to(torch.uint8)
    return np.ascontiguousarray(few.permute(1, 2, 0).numpy())
