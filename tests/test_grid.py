"""The times of interpolated frames: an exact grid, from frames however they lie in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from restore.frame import Frame
from restore.interpolation.grid import TICK, Interval, intervals

RATES = [Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(60000, 1001), Fraction(16), Fraction(240)]


def frames_at(times: Sequence[Fraction], last: Fraction) -> list[Frame]:
    ends = [*times[1:], times[-1] + last]
    pixels = torch.zeros(3, 1, 1)
    return [Frame(pixels, pts=pts, duration=end - pts) for pts, end in zip(times, ends, strict=True)]


def shown(found: Sequence[Interval]) -> list[tuple[Fraction, Fraction]]:
    """When each frame is shown, and which moment of the source it shows."""
    result = []
    for interval in found:
        for moment in interval.moments:
            result.append((moment.pts, interval.first.pts + moment.position * (interval.end - interval.first.pts)))
    return result


@given(
    begin=st.fractions(min_value=-5, max_value=5, max_denominator=1000),
    gaps=st.lists(st.fractions(min_value="1/100", max_value=1, max_denominator=90000), min_size=1, max_size=20),
    rate=st.sampled_from(RATES),
)
def test_the_grid_is_even_and_shows_each_moment_when_it_was(
    begin: Fraction, gaps: list[Fraction], rate: Fraction
) -> None:
    times = [begin]
    for gap in gaps[:-1]:
        times.append(times[-1] + gap)
    found = list(intervals(frames_at(times, gaps[-1]), rate))
    assert [interval.first.pts for interval in found] == times
    moments = shown(found)
    assert [pts for pts, _ in moments] == [begin + number / rate for number in range(len(moments))]
    assert all(abs(source - pts) <= TICK for pts, source in moments)
    assert all(0 <= moment.position < 1 for interval in found for moment in interval.moments)
    end = times[-1] + gaps[-1]
    # As many as there is room for: to the tick.
    assert moments[-1][0] < end or len(moments) == 1
    assert moments[-1][0] + 1 / rate >= end - TICK


@pytest.mark.parametrize(
    ("source", "target", "passed"), [("25", "50", 2), ("24000/1001", "48000/1001", 2), ("50", "25", 1), ("24", "60", 5)]
)
def test_frames_that_lie_on_the_grid_pass_also_where_the_container_rounded_their_times(
    source: str, target: str, passed: int
) -> None:
    exact = [number / Fraction(source) for number in range(48)]
    rounded = [Fraction(round(time * 1000), 1000) for time in exact]
    for times in (exact, rounded):
        found = shown(list(intervals(frames_at(times, exact[1]), Fraction(target))))
        own = {pts for pts, at in found if at in times}
        assert own == {pts for pts, _ in found[::passed]}


def test_there_is_a_moment_for_the_only_frame() -> None:
    only, moments = Frame(torch.zeros(3, 1, 1), duration=Fraction(1, 1000)), []
    for interval in intervals([only], Fraction(1)):
        moments += interval.moments
    assert [(moment.pts, moment.position) for moment in moments] == [(0, 0)]
    assert list(intervals([], Fraction(25))) == []


def test_one_frame_is_held_back_and_no_more() -> None:
    taken = 0

    def source() -> Iterator[Frame]:
        nonlocal taken
        for frame in frames_at([Fraction(number) for number in range(9)], Fraction(1)):
            taken += 1
            yield frame

    for number, _ in enumerate(intervals(source(), Fraction(2)), 1):
        assert taken == min(number + 1, 9)
    ends = [interval.end for interval in intervals(frames_at([Fraction(0), Fraction(2)], Fraction(3)), Fraction(1))]
    assert ends == [2, 5]
    assert [later > earlier for earlier, later in pairwise(ends)] == [True]
