"""Probing: what a clip is, told right and cheaply, and what a person should know about it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import restore
from restore.errors import InputError, LimitError
from restore.media.clips import survey as survey_module
from restore.media.clips.describe import describe
from restore.media.clips.facts import Chapter, MasteringDisplay, square_size
from restore.media.clips.orientation import Placement, read_matrix
from restore.media.clips.rates import COMMON, pace_of
from restore.media.orientation import upright
from restore.settings import Settings
from tests import clips
from tests.clips import Sound, Subtitles, write_clip

MILLISECOND = Fraction(1, 1000)
NTSC = Fraction(30000, 1001)


def test_everything_in_a_file_is_listed(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "clip.mkv",
        rate=24,
        sounds=[
            Sound(metadata={"language": "eng", "title": "Main"}),
            Sound("pcm_s24le", layout="mono", rate=44100, start=Fraction(1, 4), metadata={"language": "und"}),
        ],
        subtitles=[Subtitles(metadata={"language": "fra"})],
        chapters=[(0, 0.25, "One"), (0.25, 0.5, "Two")],
        attachments=[("font.ttf", "font/ttf", b"\0" * 77)],
        metadata={"title": "Film"},
    )
    info = restore.probe(path)
    assert (info.name, info.container, info.size) == ("clip.mkv", "matroska", path.stat().st_size)
    assert (info.video.codec, info.video.width, info.video.height) == ("h264", 96, 64)
    assert (info.video.frames, info.video.frames_from, info.video.frame_rate) == (12, "counted", 24)
    first, second = info.audio
    assert (first.codec, first.layout, first.sample_rate, first.language) == ("aac", "stereo", 48000, "eng")
    assert (first.title, first.start) == ("Main", 0)
    assert (second.codec, second.bits, second.channels, second.language) == ("pcm_s24le", 24, 1, None)
    assert second.start == Fraction(1, 4)
    assert [(entry.codec, entry.kind, entry.language) for entry in info.subtitles] == [("subrip", "text", "fra")]
    assert [(entry.name, entry.mimetype, entry.size) for entry in info.attachments] == [("font.ttf", "font/ttf", 77)]
    assert [(chapter.start, chapter.end, chapter.title) for chapter in info.chapters] == [
        (0, Fraction(1, 4), "One"),
        (Fraction(1, 4), Fraction(1, 2), "Two"),
    ]
    assert isinstance(info.chapters[0], Chapter)
    assert info.metadata["title"] == "Film"
    assert info.duration == Fraction(3, 4)
    assert info.warnings == ()


def test_it_can_be_written_as_json_and_as_text(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", rate=NTSC, metadata={"title": "\x1b[2J\u202egone"}, sounds=[Sound()])
    info = restore.probe(path)
    data = json.loads(json.dumps(info.to_dict()))
    assert data["video"]["frame_rate"] == "30000/1001"
    assert data["video"]["display_size"] == [96, 64]
    assert data["audio"][0]["codec"] == "aac"
    text = describe(info)
    assert "29.97 frames per second (30000/1001), 12 frames (counted)" in text
    assert all(line.isprintable() for line in text.splitlines())


# -- time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("clip.mkv", "libx264", NTSC),
        ("clip.mkv", "libx264", Fraction(24000, 1001)),
        ("clip.mkv", "mpeg4", Fraction(240)),
        ("clip.mp4", "libx264", Fraction(25)),
        ("clip.ts", "mpeg2video", NTSC),
        ("clip.flv", "flv", Fraction(25)),
        ("clip.avi", "mpeg4", Fraction(25)),
        ("clip.gif", "gif", Fraction(10)),
    ],
)
def test_a_constant_rate_is_exact(tmp_path: Path, name: str, codec: str, rate: Fraction) -> None:
    path = write_clip(
        tmp_path / name,
        clips.pictures(30),
        codec=codec,
        rate=rate,
        pixel_format="rgb8" if codec == "gif" else "yuv420p",
    )
    video = restore.probe(path).video
    assert (video.frame_rate, video.constant_rate) == (rate, True)
    assert (video.frames, video.frames_from) == (30, "counted")
    assert video.duration is not None
    assert abs(video.duration - 30 / rate) <= MILLISECOND


def test_a_rate_that_varies_is_the_average(tmp_path: Path) -> None:
    times = [0, 40, 100, 130, 170, 300, 310, 340, 420, 460, 500, 700]
    video = restore.probe(write_clip(tmp_path / "clip.mkv", times=times, time_base=MILLISECOND)).video
    assert (video.frame_rate, video.constant_rate, video.pulldown) == (Fraction(11 * 1000, 700), False, False)


def test_one_frame_too_few_is_no_constant_rate(tmp_path: Path) -> None:
    # In AVI a tick is a frame, so rounding excuses nothing.
    times = [*range(10), *range(11, 20)]
    path = write_clip(tmp_path / "clip.mp4", clips.pictures(19), times=times, time_base=Fraction(1, 25))
    assert not restore.probe(path).video.constant_rate


def test_pulldown_by_flags_is_told(tmp_path: Path) -> None:
    times = [round(index // 2 * 5005 / 60 + index % 2 * 50.05) for index in range(24)]
    info = restore.probe(write_clip(tmp_path / "a.mkv", clips.pictures(24), times=times, time_base=MILLISECOND))
    assert info.video.pulldown
    assert any("pulldown" in warning for warning in info.warnings)


@given(
    rate=st.sampled_from(COMMON),
    ticks=st.sampled_from([1000, 600, 12800, 90000, 30000, 1_000_000]),
    count=st.integers(3, 300),
    start=st.integers(-10_000, 10**9),
    rounding=st.sampled_from([round, int]),
)
def test_rounded_times_still_tell_the_rate(
    rate: Fraction, ticks: int, count: int, start: int, rounding: Callable[[Fraction], int]
) -> None:
    times = [start + rounding(index / rate * ticks) for index in range(count)]
    pace = pace_of(times, Fraction(1, ticks), [Fraction(1000), rate, None])
    assert pace is not None
    assert (pace.rate, pace.constant) == (rate, True)


@given(count=st.integers(20, 200), data=st.data())
def test_a_missing_frame_is_noticed_at_any_tick(count: int, data: st.DataObject) -> None:
    length = data.draw(st.sampled_from([1, 2, 40, 3600]))
    gap = data.draw(st.integers(1, count - 2))
    times = [length * (index + (index >= gap)) for index in range(count)]
    pace = pace_of(times, 1 / (25 * Fraction(length)), [Fraction(25)])
    assert pace is not None
    assert not pace.constant
    assert max(later - earlier for earlier, later in pairwise(times)) == 2 * length


def test_frames_cut_away_by_an_edit_list_are_not_counted(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", times=list(range(-5, 7)), time_base=Fraction(1, 25))
    info = restore.probe(path)
    assert (info.video.frames, info.video.hidden_frames, info.video.start) == (7, 5, 0)
    assert info.video.duration == Fraction(7, 25)
    assert any("edit list" in warning for warning in info.warnings)


def test_streams_keep_their_own_starts(tmp_path: Path) -> None:
    sound = Sound("pcm_s16le", start=Fraction(1, 2))
    info = restore.probe(write_clip(tmp_path / "clip.mkv", sounds=[sound]))
    assert (info.start, info.video.start, info.audio[0].start) == (0, 0, Fraction(1, 2))


def test_without_times_they_are_even_and_said_to_be(tmp_path: Path) -> None:
    info = restore.probe(write_clip(tmp_path / "clip.h264", format="h264"))
    assert (info.video.timed, info.video.frames, info.video.duration) == (False, 12, Fraction(12, 25))
    assert any("25 frames per second are assumed" in warning for warning in info.warnings)


def test_rates_that_make_no_sense(tmp_path: Path) -> None:
    info = restore.probe(clips.write_y4m(tmp_path / "zero.y4m", "W16 H16 F0:0 C420"))
    assert info.video.frame_rate == 25
    assert any("assumed" in warning for warning in info.warnings)
    with pytest.raises(InputError, match="1,000,000,000 frames per second"):
        restore.probe(clips.write_y4m(tmp_path / "bomb.y4m", "W16 H16 F1000000000:1 C420"))
    assert restore.probe(clips.write_y4m(tmp_path / "fine.y4m", "W16 H16 F18:1 C420")).warnings == ()


def test_a_single_frame_lasts_as_long_as_the_file_says(tmp_path: Path) -> None:
    info = restore.probe(write_clip(tmp_path / "clip.mp4", clips.pictures(1), rate=5))
    assert (info.video.frames, info.video.frame_rate, info.video.duration) == (1, 5, Fraction(1, 5))
    assert info.warnings == ("The clip is a single frame.",)


# -- cheap -----------------------------------------------------------------------------------------------


@pytest.fixture
def short_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first packets of a clip are read."""
    monkeypatch.setattr(survey_module, "MAX_PACKETS", 20)


@pytest.mark.usefixtures("short_sight")
def test_of_a_long_clip_only_the_beginning_is_read(tmp_path: Path) -> None:
    frames = clips.pictures(80)
    video = restore.probe(write_clip(tmp_path / "clip.mp4", frames)).video
    assert (video.frames, video.frames_from, video.duration_from) == (80, "header", "header")
    assert (video.frame_rate, video.constant_rate, video.duration) == (25, True, Fraction(80, 25))
    video = restore.probe(write_clip(tmp_path / "clip.mkv", frames)).video
    assert (video.frames, video.frames_from, video.constant_rate) == (80, "estimated", True)


@pytest.mark.usefixtures("short_sight")
def test_the_index_tells_of_a_rate_that_varies_later(tmp_path: Path) -> None:
    times = [40 * index + (17 if index > 60 else 0) for index in range(80)]
    path = write_clip(tmp_path / "clip.mp4", clips.pictures(80), times=times, time_base=MILLISECOND)
    assert not restore.probe(path).video.constant_rate


@pytest.mark.usefixtures("short_sight")
def test_the_index_tells_what_lies_beyond_the_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", clips.pictures(80), container_options={"movflags": "faststart"})
    info = restore.probe(clips.cut_off(path, 0.8))
    assert info.video.frames == 80
    assert any("promises 80 frames" in warning for warning in info.warnings)


def test_few_frames_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey_module, "MAX_FRAMES", 3)
    seen = []
    note = survey_module._note_frame
    monkeypatch.setattr(survey_module, "_note_frame", lambda *words: (seen.append(1), note(*words)))
    assert restore.probe(write_clip(tmp_path / "clip.mp4", clips.pictures(60))).video.frames == 60
    assert 3 <= len(seen) <= 6


# -- damage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_clip_that_was_cut_off_says_so(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else None
    path = write_clip(tmp_path / name, clips.pictures(60), container_options=options)
    info = restore.probe(clips.cut_off(path, 0.6))
    assert info.video.frames is not None
    assert 10 < info.video.frames < 50
    assert (info.video.frame_rate, info.video.constant_rate) == (25, True)
    assert any("cut off" in warning for warning in info.warnings)


def test_a_clip_that_is_damaged_says_so(tmp_path: Path) -> None:
    path = clips.corrupt(write_clip(tmp_path / "clip.ts", clips.pictures(60)), 0.1, 0.9, 100)
    assert any("cannot be decoded" in warning or "breaks off" in warning for warning in restore.probe(path).warnings)


def test_an_encrypted_clip_is_refused(tmp_path: Path) -> None:
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    with pytest.raises(InputError, match="is encrypted"):
        restore.probe(write_clip(tmp_path / "clip.mp4", container_options=options))


def test_a_clip_of_which_nothing_decodes_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    path.write_bytes(data[:start] + bytes(len(data) - start))
    with pytest.raises(InputError, match="can be decoded"):
        restore.probe(path)


def test_a_size_that_changes_is_told(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.h264", clips.pictures(4), format="h264")
    other = write_clip(tmp_path / "other.h264", clips.pictures(4, 128, 96), format="h264")
    path.write_bytes(path.read_bytes() + other.read_bytes())
    info = restore.probe(path)
    assert (info.video.width, info.video.height) == (96, 64)
    assert any("96 x 64, 128 x 96" in warning for warning in info.warnings)


# -- the picture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_read_from_a_file(tmp_path: Path, orientation: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", matrix=clips.display_matrix(orientation), aspect=Fraction(4, 3))
    video = restore.probe(path).video
    assert (video.orientation, video.tilt, video.sample_aspect) == (orientation, 0, Fraction(4, 3))
    assert video.display_size == ((128, 64) if orientation < 5 else (64, 128))


@given(
    orientation=st.integers(1, 8),
    across=st.integers(2**10, 2**18),
    along=st.integers(2**10, 2**18),
    lean=st.floats(-0.005, 0.005),
    offset=st.tuples(st.integers(-(2**30), 2**30), st.integers(-(2**30), 2**30)),
)
def test_a_matrix_means_what_it_does_to_points(
    orientation: int, across: int, along: int, lean: float, offset: tuple[int, int]
) -> None:
    # The rows of the matrix are where the axes of the stored picture go, whatever their lengths.
    rows = [[unit * across for unit in clips.MATRICES[orientation][:2]]]
    rows.append([unit * along for unit in clips.MATRICES[orientation][2:]])
    bent = [row[0] + int(lean * row[1]) for row in rows], [row[1] + int(lean * row[0]) for row in rows]
    (a, c), (b, d) = bent
    data = struct.pack("=9i", a, b, 0, c, d, 0, *offset, 1 << 30)
    assert read_matrix(data) == Placement(orientation)

    stored = np.arange(6).reshape(2, 3)
    shown = upright(stored, orientation)
    places = {
        int(stored[q, p]): (np.sign(a) * (abs(a) > abs(b)) * p + np.sign(c) * (abs(c) > abs(d)) * q,
                            np.sign(b) * (abs(b) > abs(a)) * p + np.sign(d) * (abs(d) > abs(c)) * q)
        for q in range(2) for p in range(3)
    }  # fmt: skip
    left, top = (min(place[axis] for place in places.values()) for axis in (0, 1))
    for value, (x, y) in places.items():
        assert shown[y - top, x - left] == value


@given(angle=st.floats(1, 89), quarter=st.integers(0, 3))
def test_an_odd_angle_is_told_and_not_followed(angle: float, quarter: int) -> None:
    turn = np.radians(angle + 90 * quarter)
    a, b = round(np.cos(turn) * clips.ONE), round(np.sin(turn) * clips.ONE)
    placement = read_matrix(struct.pack("=9i", a, b, 0, -b, a, 0, 0, 0, clips.WHOLE))
    assert placement.orientation == 1
    assert np.isclose(placement.tilt % 360, angle + 90 * quarter, atol=0.01)


@given(st.binary(min_size=36, max_size=36))
def test_any_matrix_is_understood_or_ignored(data: bytes) -> None:
    placement = read_matrix(data)
    assert 1 <= placement.orientation <= 8
    assert placement.tilt == 0 or placement.orientation == 1


def test_a_tilted_clip_is_left_as_it_is(tmp_path: Path) -> None:
    # Sheared: FFmpeg takes the lengths of the rows for a shape of pixels.
    matrix = [clips.ONE, clips.ONE // 3, 0, 0, clips.ONE, 0, 0, 0, clips.WHOLE]
    info = restore.probe(write_clip(tmp_path / "clip.mp4", matrix=matrix))
    assert (info.video.orientation, info.video.sample_aspect, info.video.display_size) == (1, 1, (96, 64))
    assert any("at an angle of 18" in warning for warning in info.warnings)


@given(
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    aspect=st.fractions(Fraction(1, 10), 10),
    orientation=st.integers(1, 8),
)
def test_square_pixels_lose_none(width: int, height: int, aspect: Fraction, orientation: int) -> None:
    across, along = square_size(width, height, aspect, orientation)
    if orientation > 4:
        across, along = along, across
    assert across >= width
    assert along >= height
    assert across == width or along == height
    shown = Fraction(width, height) * aspect
    assert abs(Fraction(across, along) / shown - 1) <= Fraction(1, min(across, along) if min(across, along) > 1 else 1)


def test_colours_and_hdr(tmp_path: Path) -> None:
    colour = restore.probe(write_clip(tmp_path / "clip.mp4", colour=(6, 5, 1, 2))).video.colour
    assert (colour.matrix, colour.primaries, colour.transfer, colour.full_range) == (6, 5, 1, True)
    assert colour.names == ("smpte170m", "bt470bg", "bt709")
    untagged = restore.probe(write_clip(tmp_path / "clip.mp4")).video
    assert (untagged.colour.matrix, untagged.colour.full_range, untagged.hdr) == (2, None, None)

    path = write_clip(
        tmp_path / "hdr.mp4",
        codec="libx265",
        pixel_format="yuv420p10le",
        colour=(9, 9, 16, 1),
        options={"x265-params": f"log-level=none:master-display={clips.MASTERING}:max-cll=1000,400"},
    )
    video = restore.probe(path).video
    assert (video.bits, video.pixel_format, video.hdr10_plus, video.dolby_vision) == (10, "yuv420p10le", False, False)
    assert video.hdr is not None
    assert (video.hdr.kind, video.hdr.max_content_light, video.hdr.max_average_light) == ("pq", 1000, 400)
    assert video.hdr.mastering == MasteringDisplay(
        red=(Fraction(34000, 50000), Fraction(16000, 50000)),
        green=(Fraction(13250, 50000), Fraction(34500, 50000)),
        blue=(Fraction(7500, 50000), Fraction(3000, 50000)),
        white=(Fraction(15635, 50000), Fraction(16450, 50000)),
        darkest=Fraction(1, 10000),
        brightest=Fraction(1000),
    )


def test_what_is_hidden_in_the_pictures_is_found(tmp_path: Path) -> None:
    captioned = clips.with_message(write_clip(tmp_path / "a.h264", format="h264"), "h264", clips.captions())
    assert restore.probe(captioned).video.captions
    bare = write_clip(
        tmp_path / "b.hevc",
        codec="libx265",
        pixel_format="yuv420p10le",
        colour=(9, 9, 16, 1),
        options={"x265-params": "log-level=none"},
    )
    assert not restore.probe(bare).video.hdr10_plus
    info = restore.probe(clips.with_message(bare, "hevc", clips.hdr10_plus()))
    assert info.video.hdr10_plus
    assert any("HDR10+" in warning for warning in info.warnings)
    vision = write_clip(
        tmp_path / "c.mp4", codec="libx265", colour=(9, 9, 16, 1), options={"x265-params": "log-level=none"}
    )
    assert restore.probe(clips.exchange(vision, b"hev1", b"dvhe")).video.dolby_vision
    timed = write_clip(tmp_path / "d.mov", video_metadata={"timecode": "01:02:03:04"})
    info = restore.probe(timed)
    assert info.video.timecode == "01:02:03:04"
    assert [stream.what for stream in info.others] == ["timecode"]


def half(index: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.full((64, 96), 128, np.uint8)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "bits"),
    [
        ("clip.webm", "libvpx-vp9", "yuva420p", 8),
        ("clip.webm", "libvpx", "yuva420p", 8),
        ("clip.mov", "prores_ks", "yuva444p10le", 12),
        ("clip.mkv", "ffv1", "bgra", 8),
    ],
)
def test_transparency_is_found_also_where_decoders_hide_it(
    tmp_path: Path, name: str, codec: str, pixel_format: str, bits: int
) -> None:
    options = {"auto-alt-ref": "0"} if codec == "libvpx" else None
    path = write_clip(tmp_path / name, codec=codec, pixel_format=pixel_format, alpha=half, options=options)
    video = restore.probe(path).video
    assert (video.alpha, video.bits) == (True, bits)


def test_what_cannot_be_seen_through_is_not_called_transparent(tmp_path: Path) -> None:
    # FFmpeg decodes every GIF to a format with alpha.
    path = write_clip(tmp_path / "clip.gif", codec="gif", pixel_format="rgb8", rate=10)
    assert not restore.probe(path).video.alpha


def test_animated_webp(tmp_path: Path) -> None:
    path = clips.write_webp(tmp_path / "clip.webp", clips.pictures(5), [100, 100, 50, 100, 70])
    info = restore.probe(path)
    assert (info.container, info.video.width, info.video.height, info.video.frames) == ("webp", 96, 64, 5)
    assert (info.video.constant_rate, info.duration) == (False, Fraction(42, 100))
    even = restore.probe(clips.write_webp(tmp_path / "even.webp", clips.pictures(5), [40] * 5))
    assert (even.video.frame_rate, even.video.constant_rate, even.warnings) == (25, True, ())
    with pytest.raises(InputError, match="cut off"):
        restore.probe(clips.cut_off(path, 0.7))
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(InputError, match="no frames"):
        restore.probe(path)
    with pytest.raises(LimitError):
        restore.probe(clips.write_webp(path, clips.pictures(2), [40, 40]), Settings(max_input_pixels=6000))


# -- fields ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("top_first", "order"), [(True, "top"), (False, "bottom")])
@pytest.mark.parametrize("marked", [True, False])
def test_interlaced_pictures_are_found(tmp_path: Path, top_first: bool, order: str, marked: bool) -> None:
    frames = clips.woven(16, 96, 480, top_first=top_first)
    options = {"x264-params": "tff=1" if top_first else "bff=1"} if marked else None
    path = write_clip(tmp_path / "clip.mkv", frames, codec="libx264" if marked else "ffv1", options=options)
    info = restore.probe(path)
    assert (info.video.scan, info.video.field_order) == ("interlaced", order)
    assert any("not marked" in warning for warning in info.warnings) != marked


def test_pictures_that_are_only_marked_as_interlaced(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", clips.pictures(16, 96, 480), options={"x264-params": "tff=1"})
    info = restore.probe(path)
    assert info.video.scan == "interlaced"
    assert any("none of the frames looked at shows it" in warning for warning in info.warnings)


def test_whole_pictures_are_not_taken_for_fields(tmp_path: Path) -> None:
    for name, frames in (("a.mkv", clips.pictures(20, 96, 480)), ("b.mkv", clips.pictures(20))):
        video = restore.probe(write_clip(tmp_path / name, frames, codec="ffv1")).video
        assert (video.scan, video.field_order) == ("progressive", None)


def test_telecined_film_is_told(tmp_path: Path) -> None:
    frames = clips.telecined(30, 96, 480)
    path = write_clip(tmp_path / "a.mp4", frames, rate=NTSC, options={"x264-params": "tff=1"})
    info = restore.probe(path)
    assert (info.video.scan, info.video.field_order) == ("telecined", "top")
    assert any("telecine" in warning for warning in info.warnings)


def test_fields_are_looked_for_in_the_middle_too(tmp_path: Path) -> None:
    # A title that stands still for four seconds, and then what was shot with a video camera.
    still, shot = [clips.picture(0, 96, 480)] * 100, clips.woven(100, 96, 480)
    options = {"g": "10", "b": "4000000"}
    title = write_clip(tmp_path / "title.mkv", [*still, *still], codec="mpeg4", options=options)
    assert restore.probe(title).video.scan == "progressive"
    path = write_clip(tmp_path / "clip.mkv", [*still, *shot], codec="mpeg4", options=options)
    video = restore.probe(path).video
    assert (video.scan, video.field_order) == ("interlaced", "top")
