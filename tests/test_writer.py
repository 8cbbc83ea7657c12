"""Clips are written with exact times, the right colours and nothing left behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from torch import Tensor

from restore.errors import InputError, OutputError, SettingsError
from restore.frame import Frame
from restore.media.clips.colour import ColourSpace
from restore.media.clips.encoders import Encoding, Picture, plan_encoding
from restore.media.clips.facts import Hdr, MasteringDisplay
from restore.media.clips.planes import layout_of, read_planes
from restore.media.clips.writer import ClipWriter
from tests.clips import picture

QUICK = {
    "h264": Encoding(preset="medium"),
    "hevc": Encoding("hevc", preset="ultrafast"),
    "av1": Encoding("av1", preset="11"),
    "prores": Encoding("prores"),
    "ffv1": Encoding("ffv1"),
}
TARGETS = ["h264.mp4", "h264.mkv", "hevc.mp4", "hevc.mov", "av1.mp4", "av1.webm", "prores.mov", "ffv1.mkv"]
BT709 = ColourSpace(1, 1, 1)


def pixels(index: int, width: int = 96, height: int = 64) -> Tensor:
    return torch.from_numpy(picture(index, width, height)).permute(2, 0, 1).float() / 255


def clip(times: list[Fraction], last: Fraction, width: int = 96, height: int = 64) -> Iterator[Frame]:
    """Frames that begin at ``times``; the last one lasts ``last``."""
    for index, (start, end) in enumerate(zip(times, [*times[1:], times[-1] + last], strict=True)):
        yield Frame(pixels(index, width, height), pts=start, duration=end - start)


def shape(width: int = 96, height: int = 64, pixel_format: str = "yuv420p", colour: ColourSpace = BT709) -> Picture:
    return Picture(width, height, layout_of(pixel_format), colour)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0)]


def write(target: Path, frames: Iterator[Frame], about: Picture, encoding: Encoding | None = None) -> ClipWriter:
    encoding = encoding or QUICK[target.stem]
    with ClipWriter(target, plan_encoding(encoding, target, about)) as writer:
        for frame in frames:
            writer.write(frame)
    return writer


def decoded(path: Path) -> list[VideoFrame]:
    with av.open(str(path)) as container:
        return sorted(container.decode(video=0), key=lambda frame: frame.pts or 0)


def moments(frames: list[VideoFrame]) -> list[tuple[Fraction, Fraction]]:
    return [
        (
            (frame.pts or 0) * (frame.time_base or Fraction(0)),
            (frame.duration or 0) * (frame.time_base or Fraction(0)),
        )
        for frame in frames
    ]


@pytest.mark.parametrize("name", TARGETS)
def test_uneven_times_come_out_within_a_tick_and_the_last_frame_keeps_its_length(tmp_path: Path, name: str) -> None:
    gaps = [40, 20, 33, 250, 17, 40, 40, 100, 21, 40, 40, 40, 66, 40, 40, 35, 40]
    times = [Fraction(sum(gaps[:count]), 1000) + Fraction(1, 7) for count in range(len(gaps) + 1)]
    last = Fraction(7, 10)
    write(tmp_path / name, clip(times, last), replace(shape(), rate=Fraction(25), time_base=Fraction(1, 90000)))
    frames = decoded(tmp_path / name)
    tick = frames[0].time_base or Fraction(1)
    assert tick <= Fraction(1, 1000)
    assert len(frames) == len(times)
    assert all(abs(got - wanted) <= tick for (got, _), wanted in zip(moments(frames), times, strict=True))
    assert abs(moments(frames)[-1][1] - last) <= 2 * tick
    # And it is the picture meant for that time.
    for index in (0, 5, len(times) - 1):
        shown = torch.from_numpy(frames[index].to_ndarray(format="rgb24")).permute(2, 0, 1).float() / 255
        errors = [float((shown - pixels(other)).square().mean()) for other in range(len(times))]
        assert errors.index(min(errors)) == index


@pytest.mark.parametrize("name", ["h264.mp4", "ffv1.mkv"])
def test_rounding_does_not_add_up(tmp_path: Path, name: str) -> None:
    rate = Fraction(30000, 1001)
    times = [index / rate for index in range(240)]
    write(tmp_path / name, clip(times, 1 / rate, 32, 16), replace(shape(32, 16), rate=rate, time_base=1 / rate))
    frames = decoded(tmp_path / name)
    tick = Fraction(1, 1000) if name.endswith("mkv") else Fraction(0)
    assert len(frames) == 240
    assert all(abs(got - wanted) <= tick for (got, _), wanted in zip(moments(frames), times, strict=True))


def test_the_same_frames_make_the_same_clip(tmp_path: Path) -> None:
    # Work that goes on after it was interrupted gives what it would have given otherwise.
    times = [Fraction(index, 25) for index in range(40)]
    targets = [tmp_path / f"{number}.mkv" for number in range(5)]
    for target in targets:
        write(target, clip(times, Fraction(1, 25), 160, 120), shape(160, 120), Encoding("h264"))
    assert len({tuple(packets(target)) for target in targets}) == 1


@pytest.mark.parametrize("name", TARGETS)
def test_a_clip_of_one_frame_is_written(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, clip([Fraction(0)], Fraction(1, 25)), shape())
    assert moments(decoded(tmp_path / name)) == [(Fraction(0), Fraction(1, 25))]


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_clips_shorter_than_the_encoders_delay_are_written(tmp_path: Path, count: int) -> None:
    times = [Fraction(index, 25) for index in range(count)]
    for name in ("h264.mp4", "hevc.mp4"):
        write(tmp_path / name, clip(times, Fraction(1, 25)), shape(), Encoding(name.split(".")[0]))  # type: ignore[arg-type]
        assert [start for start, _ in moments(decoded(tmp_path / name))] == times


@pytest.mark.parametrize("name", ["h264.mp4", "ffv1.mkv"])
def test_a_beginning_before_zero_is_put_off_with_a_note(tmp_path: Path, name: str) -> None:
    times = [Fraction(index, 25) - Fraction(1, 2) for index in range(20)]
    writer = write(tmp_path / name, clip(times, Fraction(1, 25)), shape())
    assert [start for start, _ in moments(decoded(tmp_path / name))] == [time + Fraction(1, 2) for time in times]
    assert "0.500 s before zero" in writer.notes[0]


def test_frames_closer_than_a_tick_are_all_kept(tmp_path: Path) -> None:
    times = [Fraction(index, 4000) for index in range(12)]
    writer = write(tmp_path / "ffv1.mkv", clip(times, Fraction(1, 4000)), shape())
    starts = [start for start, _ in moments(decoded(tmp_path / "ffv1.mkv"))]
    assert starts == sorted(set(starts))
    assert len(starts) == 12
    assert "faster than MKV can tell apart" in writer.notes[0]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "colour", [ColourSpace(6, 6, 6), ColourSpace(9, 9, 14), ColourSpace(1, 1, 13, full_range=True)]
)
def test_colour_tags_are_written_and_colours_stay(tmp_path: Path, name: str, colour: ColourSpace) -> None:
    stripes = torch.tensor([[0.8, 0.3, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.9]]).T.repeat_interleave(32, dim=1)
    frames = [
        Frame(stripes[:, None].expand(3, 64, 96), pts=Fraction(at, 25), duration=Fraction(1, 25)) for at in (0, 1)
    ]
    write(tmp_path / name, iter(frames), shape(colour=colour))
    frame = decoded(tmp_path / name)[0]
    full = colour.full_range and not name.startswith("prores")
    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (
        colour.matrix,
        colour.primaries,
        colour.transfer,
    )
    assert frame.color_range == (2 if full else 1)
    # swscale reads the tags, and arrives at the colours that went in.
    shown = frame.to_ndarray(format="rgb24")[16:48, 16::32].mean(axis=0) / 255
    assert np.allclose(shown, stripes[:, 16::32].T, atol=0.02)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    write(tmp_path / "h264.mp4", clip([Fraction(0)], Fraction(1)), replace(shape(), aspect=Fraction(16, 15)))
    with av.open(str(tmp_path / "h264.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


@pytest.mark.parametrize("name", TARGETS)
def test_odd_sizes_are_neither_scaled_nor_cut(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, clip([Fraction(0)], Fraction(1), 101, 77), shape(101, 77))
    frame = decoded(tmp_path / name)[0]
    assert (frame.width, frame.height) == (101, 77)
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture(0, 101, 77)).mean() < 8


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv440p12le", "yuva420p", "gbrp", "gbrap", "gray"])
def test_ffv1_returns_what_went_in(tmp_path: Path, pixel_format: str) -> None:
    about = shape(pixel_format=pixel_format, colour=ColourSpace(0 if pixel_format.startswith("gb") else 1, 1, 1))
    alpha = torch.linspace(0, 1, 96).round(decimals=2).expand(64, 96) if about.layout.alpha else None
    grey = torch.linspace(0, 1, 64)[:, None].expand(3, 64, 96)
    write(tmp_path / "ffv1.mkv", iter([Frame(grey, alpha, 8, Fraction(0), Fraction(1))]), about)
    planes, layout = read_planes(decoded(tmp_path / "ffv1.mkv")[0])
    assert layout.bits == about.layout.bits
    assert layout.alpha == about.layout.alpha
    black, span = (0, 1) if layout.kind == "rgb" else (16 / 256, 219 / 256)
    scale = layout.largest if layout.kind == "rgb" else 2**layout.bits
    assert torch.allclose(planes[0].float(), (grey[0] * span + black) * scale, atol=0.51)
    if alpha is not None:
        assert torch.equal(planes[-1].float(), (alpha * layout.largest).round())


def test_prores_keeps_alpha_and_h264_says_that_it_does_not(tmp_path: Path) -> None:
    alpha = torch.linspace(0, 1, 96).expand(64, 96)
    about = shape(pixel_format="yuva444p10le")
    frame = Frame(pixels(0), alpha, 10, Fraction(0), Fraction(1))
    write(tmp_path / "prores.mov", iter([frame]), about)
    planes, layout = read_planes(decoded(tmp_path / "prores.mov")[0])
    assert layout.alpha
    assert torch.allclose(planes[-1] / layout.largest, alpha, atol=2e-3)
    writer = write(tmp_path / "h264.mp4", iter([frame]), about)
    assert [entry.what for entry in writer.dropped] == ["alpha"]
    assert "transparency" in writer.plan.warnings[0]


HDR = Hdr(
    "pq",
    MasteringDisplay(
        (Fraction(34000, 50000), Fraction(16000, 50000)),
        (Fraction(13250, 50000), Fraction(34500, 50000)),
        (Fraction(7500, 50000), Fraction(3000, 50000)),
        (Fraction(15635, 50000), Fraction(16450, 50000)),
        Fraction(1, 200),
        Fraction(1000),
    ),
    1000,
    400,
)


@pytest.mark.parametrize("name", ["hevc.mp4", "hevc.mkv", "av1.mp4", "av1.webm"])
def test_hdr_is_written_with_its_static_data(tmp_path: Path, name: str) -> None:
    about = replace(shape(pixel_format="yuv420p10le", colour=ColourSpace(9, 9, 16)), hdr=HDR)
    writer = write(tmp_path / name, clip([Fraction(0), Fraction(1, 25)], Fraction(1, 25)), about)
    assert writer.plan.warnings == ()
    assert any("static HDR10 data" in line for line in writer.carried)
    frame = decoded(tmp_path / name)[0]
    assert frame.format.components[0].bits == 10
    assert frame.color_trc == 16
    entries: list[Any] = list(frame.side_data)
    data = {entry.type: bytes(entry) for entry in entries}
    numbers = np.frombuffer(data[Type.MASTERING_DISPLAY_METADATA], "<i4").astype(float)
    values = numbers[0:20:2] / numbers[1:20:2]
    assert np.allclose(values, [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 0.005, 1000], rtol=2e-3)
    assert list(np.frombuffer(data[Type.CONTENT_LIGHT_LEVEL], "<u4")[:2]) == [1000, 400]


def test_hdr_in_another_codec_is_warned_of_and_stays_10_bit(tmp_path: Path) -> None:
    about = replace(shape(pixel_format="yuv420p10le", colour=ColourSpace(9, 9, 16)), hdr=HDR)
    plan = plan_encoding(Encoding(), tmp_path / "a.mp4", about)
    assert "HDR" in plan.warnings[0]
    assert plan.dropped[0][0] == "static HDR10 data"
    assert plan.layout.name == "yuv420p10le"


@pytest.mark.parametrize(
    ("name", "encoding", "words"),
    [
        ("a.avi", Encoding(), "suffix"),
        ("a", Encoding(), "suffix"),
        ("a.webm", Encoding(), "WebM cannot hold H.264; choose .mp4"),
        ("a.mp4", Encoding("ffv1"), "MP4 cannot hold FFV1; choose .mkv"),
        ("a.mp4", Encoding(container="mkv"), "make them agree"),
        ("a.mp4", Encoding(chroma="420"), "even"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(name: str, encoding: Encoding, words: str) -> None:
    with pytest.raises(OutputError, match=words):
        plan_encoding(encoding, Path(name), shape(101, 77))


@pytest.mark.parametrize("size", [(48, 96), (96, 48)])
def test_what_is_too_small_for_an_encoder_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(OutputError, match="too small for HEVC"):
        plan_encoding(Encoding("hevc"), tmp_path / "a.mp4", shape(*size))


@pytest.mark.parametrize(
    "settings",
    [
        {"codec": "vp9"},
        {"crf": 52},
        {"crf": -1},
        {"codec": "ffv1", "crf": 3},
        {"preset": "quick"},
        {"codec": "prores", "preset": "fast"},
        {"bits": 12},
        {"codec": "av1", "chroma": "444"},
        {"codec": "ffv1", "bits": 8},
        {"container": "avi"},
        {"codec": "prores", "container": "mp4"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Encoding(**settings)


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "h264.mp4"
    target.write_bytes(b"before")

    def interrupted() -> Iterator[Frame]:
        yield from clip([Fraction(index, 25) for index in range(60)], Fraction(1, 25))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(target, interrupted(), shape())
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_clip_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frame"):
        write(tmp_path / "h264.mp4", iter(()), shape())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ffv1.mkv", "prores.mov"])
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(OutputError, match="the disk is full"):
            write(tmp_path / name, clip([Fraction(index, 25) for index in range(40)], Fraction(1, 25)), shape())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from fractions import Fraction
from pathlib import Path
from tests.test_writer import ClipWriter, Encoding, clip, plan_encoding, shape
target = Path(sys.argv[1])
with ClipWriter(target, plan_encoding(Encoding(preset="ultrafast"), target, shape())) as writer:
    for frame in clip([Fraction(index, 25) for index in range(100)], Fraction(1, 25)):
        writer.write(frame)
    assert any(path.stat().st_size for path in target.parent.iterdir())
    os.kill(os.getpid(), signal.SIGKILL)
"""
    target = tmp_path / "clip.mp4"
    done = subprocess.run([sys.executable, "-c", program, str(target)], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler") or os.geteuid() != 0, reason="only root may change it")
def test_an_encoder_takes_no_precedence_over_the_rest_of_the_machine(tmp_path: Path) -> None:
    policies = []

    def write_one() -> Iterator[Frame]:
        for frame in clip([Fraction(number, 25) for number in range(3)], Fraction(1, 25)):
            policies.extend(os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir())
            yield frame

    write(tmp_path / "av1.mp4", write_one(), shape())
    assert set(policies) == {os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
