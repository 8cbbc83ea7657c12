"""Cuts between shots, from the frames as they pass by."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from restore.frame import Frame
from restore.media.clips.shots import CutFinder
from tests.clips import picture


def frames(shots: list[int], times: list[Fraction], width: int = 320, height: int = 180) -> list[Frame]:
    """Frames of moving pictures; the pictures of one shot have their colours in the same order."""
    result = []
    for index, (shot, time) in enumerate(zip(shots, times, strict=True)):
        pixels = np.roll(picture(index, width, height), shot, axis=2)
        if shot % 2:
            pixels = 255 - pixels
        result.append(Frame(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1) / 255, pts=time))
    return result


def test_cuts_are_the_exact_times_of_the_first_frames_of_new_shots() -> None:
    # A rate that varies and a clip that does not begin at zero.
    times = [Fraction(5) + Fraction(1001 * index + 7 * (index % 3), 30000) for index in range(60)]
    shots = [0] * 20 + [1] * 25 + [2] * 15
    finder = CutFinder(Fraction(30000, 1001))
    known = []
    given = frames(shots, times)
    for frame, before in zip(finder.watch(given), given, strict=True):
        assert frame is before
        known.append(len(finder.cuts))
    assert finder.cuts == [times[20], times[45]]
    assert known == [0] * 20 + [1] * 25 + [2] * 15  # a cut is known when its frame comes out


def test_motion_and_a_flash_are_no_cuts() -> None:
    times = [Fraction(index, 25) for index in range(40)]
    steady = CutFinder(Fraction(25))
    list(steady.watch(frames([0] * 40, times)))
    assert steady.cuts == []
    flash = CutFinder(Fraction(25))
    list(flash.watch(frames([0] * 20 + [1] + [0] * 19, times)))
    assert len(flash.cuts) == 1  # and not a second one when it ends
