"""Clips as frames: when each is shown, what it looks like, and what becomes of clips that are broken."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from restore.errors import InputError, SettingsError
from restore.frame import Frame
from restore.media.clips.colour import from_rgb
from restore.media.clips.deinterlace import Deinterlacer
from restore.media.clips.planes import blank_frame, read_planes
from restore.media.clips.probe import probe
from restore.media.clips.reader import ClipReader
from restore.media.clips.timing import Clock, Picture, cut
from restore.media.orientation import upright
from tests.clips import (
    Pixels,
    corrupt,
    cut_off,
    display_matrix,
    exchange,
    picture,
    pictures,
    woven,
    write_clip,
    write_webp,
)

LOSSLESS = {"crf": "0", "preset": "veryfast"}
TICK = Fraction(1, 12800)


def read(path: Path, **options: object) -> tuple[list[Frame], ClipReader]:
    reader = ClipReader(path, probe(path), **options)  # type: ignore[arg-type]
    return list(reader.frames()), reader


def times(frames: list[Frame]) -> list[tuple[Fraction, Fraction]]:
    return [(frame.pts, frame.duration) for frame in frames]


def psnr(a: Tensor | NDArray[np.uint8], b: Tensor) -> float:
    if isinstance(a, np.ndarray):
        a = torch.from_numpy(a.copy()).movedim(-1, 0).float() / 255
    return float(-10 * torch.log10((a - b).square().mean() + 1e-12))


def timed(*stamps: int | None, usual: Fraction = Fraction(1, 10), base: Fraction = Fraction(1, 100)) -> list[Picture]:
    frames = []
    for stamp in stamps:
        frame = av.VideoFrame(16, 16, "gray")
        frame.pts, frame.time_base = stamp, base
        frames.append(frame)
    return list(Clock(usual).timed(iter(frames)))


# When


def test_times_are_those_of_the_file_with_frames_in_another_order_and_of_uneven_length(tmp_path: Path) -> None:
    stamps = [0, 700, 1001, 2900, 2901, 4000, 9000, 9512, 10024, 11111]
    path = write_clip(
        tmp_path / "a.mp4", pictures(10), times=stamps, time_base=TICK, options={"bf": "3", "preset": "veryfast"}
    )
    frames, reader = read(path)
    assert [frame.pts for frame in frames] == [stamp * TICK for stamp in stamps]
    assert [frame.duration for frame in frames[:-1]] == [(b - a) * TICK for a, b in pairwise(stamps)]
    for index in range(10):
        assert psnr(picture(index), frames[index].pixels) > 25
    assert reader.notes == []


def test_the_last_frame_lasts_as_long_as_the_file_says(tmp_path: Path) -> None:
    made = write_clip(tmp_path / "made.mp4", pictures(3), codec="mpeg4", options={"bf": "0"})
    path = tmp_path / "a.mp4"
    with av.open(str(made)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.duration = int(3 / packet.time_base)
                packet.stream = stream
                target.mux(packet)
    frames, _ = read(path)
    assert times(frames) == [(Fraction(0), Fraction(1, 25)), (Fraction(1, 25), Fraction(1, 25)), (Fraction(2, 25), 3)]


def test_frames_that_an_edit_list_hides_are_not_shown(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(12), options=LOSSLESS)
    before, _ = read(path)
    box = path.read_bytes().partition(b"elst")[2][:16]
    version, entries, seconds, begin = struct.unpack(">4i", box)
    later = struct.pack(">4i", version, entries, seconds, begin + 3 * 512)
    exchange(path, b"elst" + box, b"elst" + later)
    frames, reader = read(path)
    assert len(frames) == 9
    assert frames[0].pts == 0
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(frames, before[3:], strict=True))
    assert reader.notes == []


def test_a_bare_stream_is_shown_at_its_rate_with_a_note(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.h264", pictures(8), rate=Fraction(30000, 1001), format="h264", options=LOSSLESS)
    frames, reader = read(path)
    assert [frame.pts for frame in frames] == [index * Fraction(1001, 30000) for index in range(8)]
    assert len(reader.notes) == 1
    assert "no times" in reader.notes[0]


def test_times_that_are_missing_or_do_not_rise_are_mended() -> None:
    tenth = Fraction(1, 10)
    assert [p.pts for p in timed(0, None, None, 30)] == [0, tenth, 2 * tenth, 3 * tenth]
    # Twice the same: between its neighbours, and what follows keeps its place.
    assert [p.pts for p in timed(0, 10, 10, 20, 30)] == [0, tenth, Fraction(3, 20), 2 * tenth, 3 * tenth]
    # Another recording behind the first one, with a clock that begins anew.
    assert [p.pts for p in timed(500, 510, 0, 10)] == [5, Fraction(51, 10), Fraction(52, 10), Fraction(53, 10)]
    assert [p.pts for p in timed(-20, -10, 0)] == [-2 * tenth, -tenth, 0]


@given(st.lists(st.one_of(st.none(), st.integers(-1000, 100_000)), min_size=1, max_size=30))
def test_times_always_rise_without_a_gap(stamps: list[int | None]) -> None:
    result = timed(*stamps)
    assert len(result) == len(stamps)
    assert all(p.duration > 0 for p in result)
    assert all(a.end == b.pts for a, b in pairwise(result))


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=20),
    st.lists(st.integers(1, 400), min_size=1, max_size=4, unique=True),
)
def test_cuts_that_follow_each_other_share_nothing_and_lose_nothing(lengths: list[int], bounds: list[int]) -> None:
    whole, now = [], Fraction(0)
    for length in lengths:
        whole.append(Picture(av.VideoFrame(16, 16, "gray"), now, Fraction(length)))
        now += length
    bounds = [bound for bound in sorted(bounds) if bound < now]
    limits = [None, *(Fraction(bound) for bound in bounds), None]
    middles = [p.pts + p.duration / 2 for p in whole]
    for start, end in pairwise(limits):
        part = list(cut(iter(whole), start, end))
        assert part[0].pts == (start or 0)
        assert part[-1].end == (now if end is None else end)
        assert all(a.end == b.pts for a, b in pairwise(part))
        inside = [
            p.frame
            for p, middle in zip(whole, middles, strict=True)
            if (start is None or middle >= start) and (end is None or middle < end)
        ]
        if inside:
            assert [id(p.frame) for p in part] == [id(frame) for frame in inside]
        else:
            (only,) = part
            (shown,) = (p for p in whole if p.pts <= (start or 0) < p.end)
            assert only.frame is shown.frame


def test_a_cut_is_the_same_as_that_part_of_the_whole(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(100), options={**LOSSLESS, "g": "10", "bf": "3"})
    whole, _ = read(path)
    part, reader = read(path, start=Fraction(301, 100), end=Fraction(321, 100))
    assert times(part)[0] == (Fraction(301, 100), Fraction(304, 100) - Fraction(301, 100))
    assert part[-1].pts + part[-1].duration == Fraction(321, 100)
    assert len(part) == 5
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(part, whole[75:80], strict=True))
    # It jumped to a key frame rather than decode the three seconds before.
    assert reader.counts.decoded < 70
    with pytest.raises(InputError, match="no pictures between"):
        read(path, start=Fraction(9))
    with pytest.raises(SettingsError, match="later end"):
        read(path, start=Fraction(2), end=Fraction(2))
    with pytest.raises(SettingsError, match="auto, fields, off"):
        read(path, deinterlace="yadif")


# What it looks like


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_come_out_upright(tmp_path: Path, orientation: int) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(2), options=LOSSLESS, matrix=display_matrix(orientation))
    frames, reader = read(path)
    expected = upright(picture(1), orientation)
    assert reader.size == (expected.shape[1], expected.shape[0])
    assert frames[1].pixels.is_contiguous()
    assert frames[1].pixels.shape[1:] == expected.shape[:2]
    assert psnr(expected, frames[1].pixels) > 25


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "colour"),
    [
        ("a.mkv", "ffv1", "yuv420p", (1, 1, 1, 1)),
        ("a.mkv", "ffv1", "yuv420p", (5, 5, 6, 2)),
        ("a.mkv", "ffv1", "yuv422p10le", (9, 9, 16, 1)),
        ("a.mkv", "ffv1", "yuv444p12le", (9, 9, 18, 1)),
        ("a.mkv", "ffv1", "bgr0", None),
        ("a.mkv", "ffv1", "gray", None),
        ("a.avi", "mjpeg", "yuvj420p", None),
    ],
)
def test_the_numbers_of_the_clip_come_back(
    tmp_path: Path, name: str, codec: str, pixel_format: str, colour: tuple[int, int, int, int] | None
) -> None:
    frames = [picture(index, 101, 77) for index in range(2)]
    path = write_clip(tmp_path / name, frames, codec=codec, pixel_format=pixel_format, colour=colour)
    read_frames, reader = read(path)
    if colour:
        assert (reader.colour.matrix, reader.colour.full_range) == (colour[0], colour[3] == 2)
    if pixel_format != "gray":
        assert psnr(frames[1], read_frames[1].pixels) > 20
    with av.open(str(path)) as container:
        for source, frame in zip(container.decode(video=0), read_frames, strict=True):
            planes, layout = read_planes(source)
            assert (layout, layout.bits) == (reader.layout, frame.bits)
            _, written = blank_frame(layout, frame.width, frame.height)
            from_rgb(frame.pixels, frame.alpha, written, layout, reader.colour)
            for number, (plane, back) in enumerate(zip(planes, written, strict=True)):
                error = float((plane.double() - back.double()).square().mean())
                bar = 60 if number == 0 else 48
                assert error == 0 or 10 * np.log10(layout.largest**2 / error) >= bar


def alpha_of(index: int) -> NDArray[np.uint8]:
    return np.roll(np.tile(np.linspace(0, 255, 96, dtype=np.uint8), (64, 1)), index * 5, axis=1)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "tolerance"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p", 12),
        ("a.webm", "libvpx", "yuva420p", 24),
        ("a.mov", "prores_ks", "yuva444p10le", 1),
        ("a.mov", "qtrle", "argb", 0),
    ],
)
def test_transparency_is_read(tmp_path: Path, name: str, codec: str, pixel_format: str, tolerance: int) -> None:
    path = write_clip(
        tmp_path / name,
        pictures(4),
        codec=codec,
        pixel_format=pixel_format,
        alpha=alpha_of,
        options={"lossless": "1"} if codec == "libvpx-vp9" else {"auto-alt-ref": "0"} if codec == "libvpx" else None,
        video_metadata={"alpha_mode": "1"},
    )
    frames, reader = read(path)
    assert reader.layout.alpha
    assert len(frames) == 4
    for index, frame in enumerate(frames):
        assert frame.alpha is not None
        assert np.abs(frame.alpha.numpy() * 255 - alpha_of(index)).max() <= tolerance + 0.5


def test_an_animated_webp_is_a_clip(tmp_path: Path) -> None:
    path = write_webp(tmp_path / "a.webp", pictures(4), [100, 40, 250, 70])
    frames, reader = read(path)
    assert [frame.duration * 1000 for frame in frames] == [100, 40, 250, 70]
    assert frames[3].pts == Fraction(390, 1000)
    assert torch.equal((frames[2].pixels * 255).round().byte().movedim(0, -1), torch.from_numpy(picture(2)))
    with Image.open(path) as animation:
        assert animation.n_frames == reader.counts.frames
    # The last frame broken: those before it are there all the same.
    data = bytearray(path.read_bytes())
    last = data.rindex(b"VP8L")
    data[last + 13 :] = bytes(byte ^ 0x5A for byte in data[last + 13 :])
    path.write_bytes(data)
    frames, reader = read(path)
    assert len(frames) == 3
    assert any("could not be decoded" in note for note in reader.notes)


def test_a_frame_that_equals_the_one_before_is_marked_and_not_converted_again(tmp_path: Path) -> None:
    shown = [0, 1, 1, 1, 2, 1]
    path = write_clip(tmp_path / "a.mkv", [picture(index) for index in shown], codec="ffv1")
    frames, reader = read(path)
    assert [frame.repeat for frame in frames] == [False, False, True, True, False, False]
    assert frames[2].pixels is frames[1].pixels
    assert frames[3].pts == Fraction(3, 25)
    assert reader.counts.repeats == 2


# Interlacing


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("top_first", [True, False])
def test_interlaced_frames_become_whole(tmp_path: Path, top_first: bool, marked: bool) -> None:
    truth = pictures(24, 192, 128)
    path = write_clip(
        tmp_path / "a.mkv",
        woven(12, 192, 128, top_first=top_first),
        codec="libx264" if marked else "ffv1",
        pixel_format="yuv444p",
        options={**LOSSLESS, "x264-params": "tff=1" if top_first else "bff=1"} if marked else None,
    )
    info = probe(path)
    if not marked:  # as probing says of larger frames that look interlaced and do not say so
        order: Literal["top", "bottom"] = "top" if top_first else "bottom"
        info = replace(info, video=replace(info.video, scan="interlaced", field_order=order, marked=False))
    asis = list(ClipReader(path, info, deinterlace="off").frames())
    reader = ClipReader(path, info)
    whole = list(reader.frames())
    assert reader.counts.deinterlaced == 12
    assert times(whole) == times(asis)
    doubled = list(ClipReader(path, info, deinterlace="fields").frames())
    assert times(doubled) == [
        (pts + half, duration / 2) for pts, duration in times(asis) for half in (Fraction(0), duration / 2)
    ]
    for index in range(1, 11):
        woven_error = psnr(truth[2 * index], asis[index].pixels)
        assert psnr(truth[2 * index], whole[index].pixels) > woven_error + 6
        assert psnr(truth[2 * index], doubled[2 * index].pixels) > woven_error + 6
        assert psnr(truth[2 * index + 1], doubled[2 * index + 1].pixels) > woven_error + 4


def test_progressive_frames_among_interlaced_ones_are_left_alone(tmp_path: Path) -> None:
    def decoded(path: Path) -> list[Picture]:
        with av.open(str(path)) as container:
            return list(Clock(Fraction(1, 25)).timed(container.decode(video=0)))

    still = decoded(write_clip(tmp_path / "a.mkv", pictures(8), options=LOSSLESS))
    lines = decoded(write_clip(tmp_path / "b.mkv", woven(8), options={**LOSSLESS, "x264-params": "tff=1"}))
    mixed = [*still[:3], *lines[3:5], *still[5:8]]
    deinterlacer = Deinterlacer(fields=True)
    result = list(deinterlacer.pictures(iter(mixed)))
    assert deinterlacer.touched == 2
    assert [(p.pts, p.duration) for p in result] == [
        *((p.pts, p.duration) for p in mixed[:3]),
        *((Fraction(n, 50), Fraction(1, 50)) for n in (6, 7, 8, 9)),
        *((p.pts, p.duration) for p in mixed[5:]),
    ]
    for given_, got in zip([*mixed[:3], *mixed[5:]], [*result[:3], *result[7:]], strict=True):
        assert all(map(torch.equal, read_planes(given_.frame)[0], read_planes(got.frame)[0]))


# What is broken


def test_what_is_left_of_a_clip_that_was_cut_off_is_read(tmp_path: Path) -> None:
    options = {**LOSSLESS, "g": "12"}
    path = write_clip(tmp_path / "a.mp4", pictures(60), options=options, container_options={"movflags": "faststart"})
    info = probe(path)
    cut_off(path, 0.6)
    reader = ClipReader(path, replace(info, video=replace(info.video, duration_from="header")))
    frames = list(reader.frames())
    assert 20 < len(frames) < 45
    assert any("cut off: it should last 2.40 s" in note for note in reader.notes)
    assert any("Of the 60 frames" in note and str(reader.counts.decoded) in note for note in reader.notes)
    for index in range(10):
        assert psnr(picture(index), frames[index].pixels) > 25


def test_damage_in_the_middle_costs_no_more_than_that(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(60), options={"crf": "18", "g": "10", "bf": "0"})
    sound, _ = read(path)
    corrupt(path, 0.45, 0.5)
    frames, reader = read(path)
    assert len(frames) > 45
    by_time = {frame.pts: frame for frame in sound}
    intact = sum(torch.equal(frame.pixels, by_time[frame.pts].pixels) for frame in frames if frame.pts in by_time)
    assert 40 <= intact < 60
    assert any("damaged" in note for note in reader.notes)


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(30), codec="mpeg4", options={"bf": "0"})
    info = probe(path)
    data = path.read_bytes()
    first = data.index(b"\xa3", data.index(b"\x1fC\xb6u"))  # the first block of the first cluster
    path.write_bytes(data[:first])
    with pytest.raises(InputError, match=r"No picture of a\.mkv can be decoded"):
        list(ClipReader(path, info).frames())


def test_another_size_in_the_middle_is_scaled_to_the_first(tmp_path: Path) -> None:
    def stream(size: tuple[int, int]) -> bytes:
        frames: list[Pixels] = pictures(10, *size)
        path = tmp_path / "part.h264"
        return write_clip(path, frames, format="h264", options={"crf": "1", "bf": "0"}).read_bytes()

    path = tmp_path / "a.h264"
    path.write_bytes(stream((96, 64)) + stream((192, 128)))
    frames, reader = read(path)
    assert len(frames) == 20
    assert {frame.pixels.shape for frame in frames} == {(3, 64, 96)}
    small = np.asarray(Image.fromarray(picture(4, 192, 128)).resize((96, 64), Image.Resampling.LANCZOS))
    assert psnr(small, frames[14].pixels) > 25
    assert any("scaled to 96x64" in note and "10 frames" in note for note in reader.notes)


def test_a_reader_that_is_left_closes_the_file(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(30))
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system does not list open files")

    def opened() -> int:
        return sum(link.is_symlink() and link.resolve() == path.resolve() for link in descriptors.iterdir())

    reader = ClipReader(path, probe(path))
    frames = reader.frames()
    next(frames)
    assert opened() == 1
    frames.close()  # type: ignore[attr-defined]
    assert opened() == 0
    # And it can be read again from the beginning.
    assert len(list(reader.frames())) == 30
