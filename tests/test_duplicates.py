"""Copies of frames: found by their content, and what is left moves evenly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from restore.frame import Frame
from restore.interpolation.duplicates import LONGEST_HOLD, Found, evenly, without_copies
from tests.clips import picture

NOISE = 1.5 / 255


@cache
def drawing(number: int) -> Tensor:
    return torch.from_numpy(picture(number)).permute(2, 0, 1).float() / 255


def clip(
    drawings: Sequence[int], rate: Fraction, shots: Sequence[int] | None = None, noise: float = NOISE
) -> list[Frame]:
    """A frame for each number of a drawing, each with noise of its own: a little, as encoding makes it."""
    random = torch.Generator().manual_seed(1)
    frames = []
    for index, number in enumerate(drawings):
        pixels = drawing(number)
        pixels = (pixels + noise * torch.randn(pixels.shape, generator=random)).clamp(0, 1)
        shot = 0 if shots is None else shots[index]
        frames.append(Frame(pixels, pts=index / rate, duration=1 / rate, shot=shot))
    return frames


def gaps(frames: Sequence[Frame]) -> list[float]:
    return [float(later.pts - earlier.pts) for earlier, later in pairwise(frames)]


def spread(values: Sequence[float]) -> float:
    return float(np.std(values) / np.mean(values))


def test_pulldown_and_drawings_that_are_held_come_out_evenly() -> None:
    film = [frame * 4 // 5 for frame in range(60)]  # 24 in 30
    twos = [frame * 8 // 25 for frame in range(75)]  # 8 in 25: held for three frames, and now and then for four
    for drawings, rate in ((film, Fraction(30)), (twos, Fraction(25))):
        found = Found()
        left = list(without_copies(clip(drawings, rate), found))
        starts = [index for index, (a, b) in enumerate(pairwise([-1, *drawings])) if a != b]
        assert [frame.pts * rate for frame in left] == starts
        assert (found.frames, found.copies) == (len(drawings), len(drawings) - len(starts))
        assert left[-1].pts + left[-1].duration == len(drawings) / rate
        paced = list(evenly(left, 1 / rate))
        assert spread(gaps(paced)) < spread(gaps(left)) / 3
        assert all(abs(after.pts - before.pts) <= 1 / rate for before, after in zip(left, paced, strict=True))
        assert all(torch.equal(after.pixels, before.pixels) for before, after in zip(left, paced, strict=True))


def test_copies_are_found_in_coarse_grain_and_where_encoding_repairs_the_copy() -> None:
    drawings = [frame * 4 // 5 for frame in range(40)]
    starts = [index for index, (a, b) in enumerate(pairwise([-1, *drawings])) if a != b]
    grainy = clip(drawings, Fraction(30), noise=14 / 255)
    assert [frame.pts * 30 for frame in without_copies(grainy, Found())] == starts
    # What is new is shown less bright at first, as much as makes it a quarter of what moves.
    repaired = clip(drawings, Fraction(30))
    moving = [torch.nn.functional.avg_pool2d((a - b).abs(), 16).max() for a, b in pairwise(map(drawing, range(9)))]
    for index in starts:
        corner = repaired[index].pixels[:, :16, :16]
        corner -= min(0.25 * float(min(moving)), 8 / 255)
    assert [frame.pts * 30 for frame in without_copies(repaired, Found())] == starts


def test_what_moves_on_every_frame_is_left_alone() -> None:
    rate = Fraction(24)
    for frames in (clip(range(30), rate), clip([number // 20 for number in range(60)], rate)):
        found = Found()
        assert len(list(without_copies(frames, found))) >= 30
    found = Found()
    frames = clip(range(30), rate)
    left = list(without_copies(frames, found))
    assert (found.copies, len(left)) == (0, 30)
    paced = list(evenly(left, 1 / rate))
    assert [frame.pts for frame in paced] == [frame.pts for frame in frames]


def test_a_picture_that_stands_still_is_not_stretched_into_the_motion_after_it() -> None:
    rate = Fraction(25)
    still = [0] * 30
    left = list(without_copies(clip([*range(9), *still, *range(9, 20)], rate), Found()))
    # The last frame of the still picture comes right before the motion goes on.
    assert (9 + 29) / rate in [frame.pts for frame in left]
    assert max(gaps(left)) <= LONGEST_HOLD


def test_every_frame_ends_when_it_did_however_its_time_is_smoothed() -> None:
    rate = Fraction(25)
    for drawings in ([0] * 12, [*range(12)] + [12] * 20, [number * 24 // 30 for number in range(31)]):
        left = list(without_copies(clip(drawings, rate), Found()))
        paced = list(evenly(left, 1 / rate))
        assert [frame.pts + frame.duration for frame in paced] == [frame.pts + frame.duration for frame in left]
        assert min(frame.duration for frame in paced) > 0
        assert min(gaps(paced)) > 0


def test_nothing_is_a_copy_across_a_cut_and_no_time_is_smoothed_across_one() -> None:
    rate = Fraction(25)
    drawings = [number // 2 for number in range(24)] + [number // 3 for number in range(33, 60)]
    shots = [0] * 24 + [1] * 27
    left = list(without_copies(clip(drawings, rate, shots), Found()))
    assert next(frame.pts * rate for frame in left if frame.shot == 1) == 24
    paced = list(evenly(left, 1 / rate))
    assert [round(gap * 25, 6) for gap in gaps(paced)] == [2.0] * 12 + [3.0] * 8


def test_frames_of_a_rate_that_varies_keep_their_times() -> None:
    times = [Fraction(time, 1000) for time in (0, 40, 80, 200, 240, 290, 330)]
    frames = [
        Frame(drawing(number), pts=pts, duration=Fraction(1, 25)) for number, pts in enumerate(times)
    ]  # no copies: what came late came late
    found = Found()
    left = list(without_copies(frames, found))
    assert [frame.pts for frame in left] == times
