"""The shots of a clip, from the frames as they pass by, from file to stage to report."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import restore
from restore import Encoding, Frame, Upscale
from restore.errors import SettingsError
from restore.inference.engine import Engine
from restore.media.clips.shots import CUT_THRESHOLD, FoundCuts, GivenCuts, look_at_frame
from restore.stages.upscale import OpenUpscale
from tests.clips import Pixels, picture, write_clip

RATE = Fraction(25)
LOSSLESS = Encoding(codec="ffv1")


def shown(shot: int, index: int, width: int = 160, height: int = 90) -> Pixels:
    """The picture number ``index`` of moving pictures; each shot has colours of its own."""
    pixels = np.roll(picture(index, width, height), shot, axis=2)
    return np.ascontiguousarray((255 - pixels if shot % 2 else pixels) // (1 + shot // 2))


def frame_of(pixels: NDArray[Any], time: Fraction = Fraction(0)) -> Frame:
    return Frame(torch.from_numpy(pixels).permute(2, 0, 1) / 255, pts=time)


def frames(pixels: Iterable[NDArray[Any]], times: Sequence[Fraction] | None = None) -> list[Frame]:
    return [frame_of(each, times[index] if times else index / RATE) for index, each in enumerate(pixels)]


def starts(given: Sequence[Frame], rate: Fraction = RATE, threshold: float = CUT_THRESHOLD) -> list[int]:
    """The numbers of the frames that begin a shot, which the times of the cuts have to agree with."""
    finder = FoundCuts(rate, threshold)
    out = list(finder.numbered(given, look_at_frame))
    assert [frame.pixels for frame in out] == [frame.pixels for frame in given]
    assert out[0].shot == 0
    begins = [index for index, (one, other) in enumerate(pairwise(out), 1) if other.shot != one.shot]
    assert [frame.shot for frame in out] == [sum(begin <= index for begin in begins) for index in range(len(out))]
    assert finder.cuts == [given[index].pts for index in begins]
    return begins


def test_each_frame_knows_its_shot_when_it_comes_out_and_few_wait_for_that() -> None:
    # A rate that varies, in a clip that does not begin at zero.
    times = [Fraction(5) + Fraction(1001 * index + 7 * (index % 3), 30000) for index in range(60)]
    shots = [0] * 20 + [1] * 25 + [2] * 15
    taken = 0

    def source() -> Generator[Frame]:
        nonlocal taken
        for frame in frames([shown(shot, index) for index, shot in enumerate(shots)], times):
            taken += 1
            yield frame

    finder = FoundCuts(Fraction(30000, 1001))
    out = []
    for frame in finder.numbered(source(), look_at_frame):
        out.append(frame)
        assert taken - len(out) <= 5
    assert [frame.shot for frame in out] == shots
    assert finder.cuts == [times[20], times[45]]


@pytest.mark.parametrize("place", [1, 2, 11, 22, 23])
def test_a_cut_is_found_wherever_it_is(place: int) -> None:
    assert starts(frames(shown(int(index >= place), index) for index in range(24))) == [place]


def test_shots_may_be_short() -> None:
    assert starts(frames(shown(index // 4, index) for index in range(24))) == [4, 8, 12, 16, 20]


def test_motion_flashes_fades_and_a_single_frame_are_no_cuts() -> None:
    steady = [shown(0, index) for index in range(30)]
    assert starts(frames(steady)) == []
    assert starts(frames(steady[:1])) == []
    white = np.full_like(steady[0], 255)
    for length in (1, 2, 3):
        assert starts(frames([*steady[:12], *[white] * length, *steady[12:]])) == []
    faded = [(pixels * abs(index - 14.5) / 14.5).astype(np.uint8) for index, pixels in enumerate(steady)]
    assert starts(frames(faded)) == []
    dissolved = [
        (shown(0, index) * (1 - index / 29) + shown(1, index) * (index / 29)).astype(np.uint8) for index in range(30)
    ]
    assert starts(frames(dissolved)) == []


def test_noise_that_jumps_about_is_no_cut_but_a_cut_within_it_is() -> None:
    rng = np.random.default_rng(3)
    jumping = [np.roll(shown(0, 0), tuple(rng.integers(-40, 40, 2)), axis=(0, 1)) for _ in range(30)]
    assert starts(frames(jumping)) == []
    assert starts(frames([*jumping[:15], *(pixels // 6 for pixels in jumping[15:])])) == [15]


def test_cuts_of_film_without_colour_and_between_dark_pictures_are_found() -> None:
    def grey(index: int) -> Pixels:
        ground = np.full((90, 160, 3), 70 if index < 10 else 120, np.uint8)
        ground[:, 4 * index : 4 * index + 20] = 140
        return ground

    assert starts(frames(grey(index) for index in range(20))) == [10]
    # The hue of what nobody can see says nothing.
    dark = [np.full((90, 160, 3), (2, 0, 0) if index < 10 else (0, 0, 2), np.uint8) for index in range(20)]
    assert starts(frames(dark)) == []


def test_repeated_frames_and_slides_and_a_lower_threshold() -> None:
    assert starts(frames(shown(index // 12, index // 3) for index in range(36))) == [12, 24]
    slides = frames([shown(index % 2, 0) for index in range(4)], [Fraction(index) for index in range(4)])
    assert starts(slides, Fraction(1)) == [1, 2, 3]
    assert starts(frames(shown(0, index, 160 if index < 9 else 120) for index in range(18))) == [9]  # another size
    faint = frames([*[shown(0, 0)] * 10, *[(shown(0, 0) * 0.92).astype(np.uint8)] * 10])
    assert starts(faint) == []
    assert starts(faint, threshold=5) == [10]


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=40),
    st.lists(st.integers(0, 4000), max_size=8, unique=True).map(sorted),
)
def test_given_cuts_lie_at_the_nearest_frames(durations: list[int], cuts: list[int]) -> None:
    pixels = torch.zeros(3, 2, 2)
    begin, given = 10, []
    for duration in durations:
        given.append(Frame(pixels, pts=Fraction(begin), duration=Fraction(duration)))
        begin += duration
    out = list(GivenCuts([Fraction(cut) for cut in cuts]).numbered(given, look_at_frame))
    assert out[0].shot == 0
    for one, other in pairwise(out):
        middles = [frame.pts + frame.duration / 2 for frame in (one, other)]
        assert other.shot - one.shot == int(any(middles[0] < cut <= middles[1] for cut in cuts))


# --- from the file to the stages


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Fraction, int]]:
    """The times and the shots of all frames that get to a stage."""
    heard: list[tuple[Fraction, int]] = []
    run = OpenUpscale.run

    def listening(self: OpenUpscale, given: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        def passed() -> Generator[Frame]:
            for frame in given:
                heard.append((frame.pts, frame.shot))
                yield frame

        yield from run(self, passed(), engine)

    monkeypatch.setattr(OpenUpscale, "run", listening)
    return heard


def test_a_stage_gets_the_shots_of_a_clip_and_the_report_its_cuts(
    tmp_path: Path, told: list[tuple[Fraction, int]]
) -> None:
    shots = [0] * 10 + [1] * 10 + [2] * 10
    pixels = [shown(shot, index // 2, 64, 48) for index, shot in enumerate(shots)]  # each picture twice
    ticks = [33 * index + 5 * (index % 4 == 1) for index in range(30)]
    source = write_clip(
        tmp_path / "old.mkv",
        pixels,
        codec="ffv1",
        pixel_format="bgr0",
        times=ticks,
        time_base=Fraction(1, 1000),
    )
    resample = [Upscale(strength=0, scale=1)]
    whole = [str(Fraction(ticks[10], 1000)), str(Fraction(ticks[20], 1000))]
    for part, cuts, wanted, listed in (
        ((None, None), "auto", shots, whole),
        ((None, None), [0.1, "0.69"], [0] * 3 + [1] * 18 + [2] * 9, ["1/10", "69/100"]),
        ((None, None), [], [0] * 30, []),
        ((Fraction(ticks[9], 1000), Fraction(ticks[25], 1000)), "auto", [0] + [1] * 10 + [2] * 5, whole),
    ):
        told.clear()
        report = restore.restore_video(
            source,
            tmp_path / "new.mkv",
            resample,
            *part,
            encoding=LOSSLESS,
            cuts=cuts,  # type: ignore[arg-type]
        )
        assert [shot for _, shot in told] == wanted
        assert report.clip is not None
        assert list(report.clip.cuts) == listed
    with pytest.raises(SettingsError, match="cut_threshold"):
        restore.restore_video(source, tmp_path / "new.mkv", resample, cut_threshold=0)


def test_frames_in_memory_get_their_shots_where_a_stage_asks_for_them(
    told: list[tuple[Fraction, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = [shown(int(index >= 7), index, 64, 48) for index in range(14)]
    resample = [Upscale(strength=0, scale=1)]
    found = [0] * 7 + [1] * 7
    list(restore.restore_frames(pixels, resample))
    assert [shot for _, shot in told] == [0] * 14  # nobody asked
    monkeypatch.setattr(Upscale, "uses_shots", True)
    for pictures, options, wanted in (
        (pixels, {}, found),
        (pixels, {"rate": 10, "cuts": [0.3]}, [0] * 3 + [1] * 11),
        ([Frame(frame_of(each).pixels, shot=3) for each in pixels], {"cuts": None}, [3] * 14),
    ):
        told.clear()
        results = list(restore.restore_frames(pictures, resample, **options))  # type: ignore[arg-type, type-var]
        assert len(results) == 14
        assert [shot for _, shot in told] == wanted
    assert told[1][0] == 0  # frames keep their own times
    with pytest.raises(SettingsError, match="rate is 0: give"):
        restore.restore_frames(pixels, resample, rate=0)
