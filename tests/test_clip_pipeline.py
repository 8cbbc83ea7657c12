"""Clips from file to file, and frames in memory, through chains of stages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import restore
from restore import Encoding, Frame, Position, Progress, Upscale
from restore.errors import Cancelled, InputError, LimitError, OutputError, ResourceError, RestoreError, SettingsError
from restore.media.clips.reader import ClipReader
from restore.media.clips.writer import ClipWriter
from restore.settings import load_settings
from restore.stages.upscale import OpenUpscale
from tests.clips import Pixels, Sound, cut_off, display_matrix, picture, pictures, woven, write_clip

TWICE = Upscale(model="built-in", scale=2)
QUICK = Encoding(preset="ultrafast")
LOSSLESS = Encoding(codec="ffv1")
LIMIT = 120.0  # seconds that a child may take on a busy machine


@pytest.fixture(autouse=True)
def no_threads_are_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name in ("decode", "encode")] == []


def times(path: Path) -> list[tuple[Fraction, Fraction]]:
    """When each frame of the clip at ``path`` is shown, and for how long the container says."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        assert stream.time_base is not None
        return sorted((packet.pts * stream.time_base, (packet.duration or 0) * stream.time_base) for packet in packets)


def seen(path: Path, format: str = "rgb24") -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=format) for frame in container.decode(video=0)]


def heard(path: Path) -> list[list[tuple[bytes, Fraction]]]:
    """The packets of each stream of sound, and when they begin."""
    with av.open(str(path)) as container:
        tracks: dict[int, list[tuple[bytes, Fraction]]] = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(container.streams.audio):
            if packet.size:
                tracks[packet.stream.index].append((bytes(packet), packet.pts * packet.time_base))
        return list(tracks.values())


def psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    error = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def tree(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_clip_comes_out_larger_with_its_times_its_sound_and_its_recipe(tmp_path: Path) -> None:
    ticks = [0, 40, 75, 121, 160, 200, 290, 320, 361, 400, 444, 480]
    source = write_clip(
        tmp_path / "old.mkv",
        times=ticks,
        time_base=Fraction(1, 1000),
        options={"bf": "3", "crf": "10"},
        sounds=[Sound(metadata={"language": "fra"}), Sound("libopus", start=Fraction(1, 5))],
        metadata={"title": "A ride"},
        colour=(1, 1, 1, 1),
    )
    target = tmp_path / "new.mp4"
    report = restore.restore_video(source, target, [TWICE], encoding=Encoding(crf=8, preset="fast"))

    info = restore.probe(target)
    assert (info.video.width, info.video.height, info.video.codec, info.container) == (192, 128, "h264", "mov")
    assert (info.video.colour.matrix, info.video.colour.full_range, info.metadata["title"]) == (1, False, "A ride")
    assert json.loads(info.metadata["restore:recipe"]) == report.recipe == restore.recipe([TWICE])
    tick = info.video.time_base
    for (start, _), wanted in zip(times(target), ticks, strict=True):
        assert abs(start - Fraction(wanted, 1000)) <= tick
    for old, new in zip(heard(source), heard(target), strict=True):
        assert [data for data, _ in new] == [data for data, _ in old]
        assert all(abs(one - other) <= Fraction(1, 1000) for (_, one), (_, other) in zip(new, old, strict=True))
    for old, new in zip(seen(source), seen(target), strict=True):
        assert psnr(new.reshape(64, 2, 96, 2, 3).mean(axis=(1, 3)), old) > 28

    assert tree(tmp_path) == {"old.mkv", "new.mp4"}
    assert report.clip is not None
    assert (report.source_size, report.target_size) == ((96, 64), (192, 128))
    assert (report.clip.frames, report.clip.reused, report.clip.read["decoded"]) == (12, 0, 12)
    assert (report.clip.codec, report.clip.container, report.clip.encoder["crf"]) == ("h264", "mp4", "8")
    (stage,) = report.stages
    assert (stage.frames, stage.models[0].name) == (12, "built-in")
    data = json.loads(report.to_json())
    assert data["clip"]["source"]["video"]["frame_rate"] == str(restore.probe(source).video.frame_rate)
    assert any("sound 1" in line for line in data["carried"])


def test_a_chain_without_stages_keeps_every_number(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mkv", codec="ffv1", pixel_format="yuv422p10le", rate=Fraction(30000, 1001))
    report = restore.restore_video(source, tmp_path / "new.mkv", [], encoding=LOSSLESS)
    info = restore.probe(tmp_path / "new.mkv")
    assert (info.video.pixel_format, info.video.frame_rate) == ("yuv422p10le", Fraction(30000, 1001))
    for old, new in zip(seen(source, "yuv422p10le"), seen(tmp_path / "new.mkv", "yuv422p10le"), strict=True):
        assert np.array_equal(old[: len(old) // 2], new[: len(old) // 2])  # luma
    assert report.stages == ()
    assert report.clip is not None
    assert report.clip.frame_rate == "30000/1001"


def test_stages_run_one_after_the_other(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(2, 32, 24), codec="ffv1", pixel_format="bgr0")
    report = restore.restore_video(source, tmp_path / "new.mkv", [TWICE, TWICE], encoding=LOSSLESS)
    assert [stage.frames for stage in report.stages] == [2, 2]
    frames = [Frame(torch.from_numpy(pixels).permute(2, 0, 1) / 255) for pixels in seen(source)]
    twice = restore.restore_frames(restore.restore_frames(frames, [TWICE]), [TWICE])
    for new, wanted in zip(seen(tmp_path / "new.mkv"), twice, strict=True):
        assert np.abs(new - wanted.pixels.permute(1, 2, 0).numpy() * 255).max() <= 0.51


def test_a_frame_like_the_one_before_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pictures(2)
    source = write_clip(tmp_path / "old.mkv", [one, one, one, other, other, one], codec="ffv1", pixel_format="bgr0")
    computed: list[Frame] = []
    enlarge = OpenUpscale._enlarge

    def counted(self: OpenUpscale, frame: Frame, runner: Any) -> Frame:
        computed.append(frame)
        return enlarge(self, frame, runner)

    monkeypatch.setattr(OpenUpscale, "_enlarge", counted)
    report = restore.restore_video(source, tmp_path / "new.mkv", [TWICE], encoding=LOSSLESS)
    assert len(computed) == 3
    assert report.clip is not None
    assert (report.clip.frames, report.clip.reused) == (6, 3)
    new = seen(tmp_path / "new.mkv")
    assert [np.array_equal(new[0], frame) for frame in new] == [True, True, True, False, False, True]
    assert len(times(tmp_path / "new.mkv")) == 6


# --- what may be chosen


def test_a_part_is_cut_out_with_its_sound(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(50), sounds=[Sound(seconds=2.0)])
    report = restore.restore_video(source, tmp_path / "new.mkv", [], 0.5, "0:01.5", encoding=LOSSLESS)
    old, new = seen(source, "gray"), seen(tmp_path / "new.mkv", "gray")
    assert [int(np.argmin([np.abs(a.astype(int) - b).sum() for b in old])) for a in new] == [*range(12, 37)]
    (sound,) = heard(tmp_path / "new.mkv")
    (whole,) = heard(source)
    first = [data for data, _ in whole].index(sound[0][0])
    assert [data for data, _ in sound] == [data for data, _ in whole][first : first + len(sound)]
    for (_, start), (_, before) in zip(sound, whole[first:], strict=False):
        assert abs(before - start - Fraction(1, 2)) <= Fraction(1, 500)
    assert 0.95 < float(sound[-1][1] - sound[0][1]) < 1.05
    assert report.clip is not None
    assert (report.clip.start, report.clip.end) == ("1/2", "3/2")


def test_pixels_are_made_square_or_keep_their_shape(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mp4", pictures(3), aspect=Fraction(4, 3), matrix=display_matrix(6))
    restore.restore_video(source, tmp_path / "square.mp4", [TWICE], encoding=QUICK)
    square = restore.probe(tmp_path / "square.mp4").video
    assert (square.width, square.height, square.sample_aspect, square.orientation) == (128, 256, 1, 1)
    restore.restore_video(source, tmp_path / "kept.mp4", [TWICE], encoding=QUICK, square_pixels=False)
    kept = restore.probe(tmp_path / "kept.mp4").video
    assert (kept.width, kept.height, kept.sample_aspect, kept.orientation) == (128, 192, Fraction(3, 4), 1)


def test_interlaced_frames_become_one_picture_each_or_two(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mkv", woven(10), options={"x264-params": "tff=1"})
    for deinterlace, count in (("auto", 10), ("fields", 20), ("off", 10)):
        report = restore.restore_video(source, tmp_path / "new.mp4", [], encoding=QUICK, deinterlace=deinterlace)
        assert report.clip is not None
        assert (report.clip.frames, report.clip.read["deinterlaced"]) == (count, 0 if deinterlace == "off" else 10)
        starts = [start for start, _ in times(tmp_path / "new.mp4")]
        step = Fraction(2, 5) / count
        assert all(abs(start - number * step) <= Fraction(1, 10000) for number, start in enumerate(starts))


def test_cuts_are_found_or_taken_as_given(tmp_path: Path) -> None:
    frames = [*pictures(15), *(255 - pixels for pixels in pictures(15))]
    source = write_clip(tmp_path / "old.mkv", frames, codec="ffv1", pixel_format="bgr0")
    for cuts, wanted in (("auto", ("3/5",)), ([0.2, "1"], ("1/5", "1"))):
        report = restore.restore_video(source, tmp_path / "new.mkv", [], encoding=LOSSLESS, cuts=cuts)  # type: ignore[arg-type]
        assert report.clip is not None
        assert report.clip.cuts == wanted


def test_transparency_goes_through_the_chain_or_onto_white(tmp_path: Path) -> None:
    hole = np.zeros((48, 64), np.uint8)
    hole[:, 32:] = 255
    source = write_clip(
        tmp_path / "old.mov", pictures(3, 64, 48), codec="qtrle", pixel_format="argb", alpha=lambda _: hole
    )
    restore.restore_video(source, tmp_path / "kept.mkv", [TWICE], encoding=LOSSLESS)
    for frame in seen(tmp_path / "kept.mkv", "rgba"):
        assert frame.shape == (96, 128, 4)
        assert frame[:, :56, 3].max() < 16
        assert frame[:, 72:, 3].min() > 240
    report = restore.restore_video(source, tmp_path / "white.mp4", [TWICE], encoding=Encoding(crf=5))
    for frame in seen(tmp_path / "white.mp4"):
        assert frame[:, :56].min() > 245
    assert [dropped.what for dropped in report.dropped] == ["alpha"]


def test_ten_bits_stay_ten_bits(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(3), codec="ffv1", pixel_format="yuv420p10le")
    restore.restore_video(source, tmp_path / "new.mkv", [TWICE], encoding=Encoding("hevc", preset="ultrafast"))
    assert restore.probe(tmp_path / "new.mkv").video.bits == 10


def test_odd_sizes_come_through_and_those_that_the_work_made_lose_a_row(tmp_path: Path) -> None:
    odd = write_clip(tmp_path / "odd.mkv", pictures(2, 33, 21), codec="ffv1", pixel_format="bgr0")
    report = restore.restore_video(odd, tmp_path / "new.mp4", [])
    assert report.target_size == (33, 21)
    assert restore.probe(tmp_path / "new.mp4").video.pixel_format == "yuv444p"
    even = write_clip(tmp_path / "even.mkv", pictures(2, 32, 22), codec="ffv1", pixel_format="bgr0")
    report = restore.restore_video(even, tmp_path / "new.mp4", [Upscale(model="built-in", scale=1.5)])
    assert report.target_size == (48, 32)
    assert report.clip is not None
    assert [note for note in report.clip.notes if "48x33" in note]
    assert restore.probe(tmp_path / "new.mp4").video.pixel_format == "yuv420p"


# --- what is broken


def test_of_a_clip_that_is_cut_off_all_that_is_there_is_restored(tmp_path: Path) -> None:
    source = cut_off(write_clip(tmp_path / "old.mkv", pictures(60), options={"g": "10"}), 0.5)
    report = restore.restore_video(source, tmp_path / "new.mp4", [], encoding=QUICK)
    count = len(seen(tmp_path / "new.mp4"))
    assert 10 < count < 50
    assert report.clip is not None
    assert report.clip.frames == count
    assert [text for text in (*report.clip.notes, *report.warnings) if "cut off" in text]


def test_a_size_that_changes_on_the_way_becomes_the_first_one(tmp_path: Path) -> None:
    parts = [write_clip(tmp_path / f"{width}.h264", pictures(6, width, 64)).read_bytes() for width in (96, 128)]
    (tmp_path / "old.h264").write_bytes(b"".join(parts))
    report = restore.restore_video(tmp_path / "old.h264", tmp_path / "new.mp4", [TWICE], encoding=QUICK)
    assert [frame.shape for frame in seen(tmp_path / "new.mp4")] == [(128, 192, 3)] * 12
    assert report.clip is not None
    assert report.clip.read["resized"] == 6


@pytest.mark.parametrize("phase", ["decode", "upscale", "encode"])
def test_a_run_can_be_stopped_in_every_phase_and_leaves_nothing(tmp_path: Path, phase: str) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(200), sounds=[Sound(seconds=8)])
    (tmp_path / "new.mp4").write_bytes(b"an older result")
    positions: list[Position] = []

    def listen(position: Position) -> None:
        positions.append(position)
        if position.stage == phase and position.done > 0:
            progress.cancel()

    progress = Progress(listen)
    with pytest.raises(Cancelled):
        restore.restore_video(source, tmp_path / "new.mp4", [TWICE], progress=progress, encoding=QUICK)
    assert max(position.done for position in positions) < 100
    assert tree(tmp_path) == {"old.mkv", "new.mp4"}
    assert (tmp_path / "new.mp4").read_bytes() == b"an older result"


def _failing(kind: type, name: str, after: int, error: Exception) -> Callable[..., Any]:
    """The method ``name`` of ``kind``, which raises ``error`` when it was called, or has given, ``after`` times."""
    usual = getattr(kind, name)
    calls = 0

    def method(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise error
        return usual(*arguments)

    def generator(*arguments: Any) -> Any:
        for number, item in enumerate(usual(*arguments)):
            if number == after:
                raise error
            yield item

    return generator if name == "frames" else method


@pytest.mark.parametrize(("kind", "name"), [(ClipReader, "frames"), (OpenUpscale, "_enlarge"), (ClipWriter, "write")])
def test_an_error_in_any_of_the_three_threads_stops_all_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(40), sounds=[Sound(seconds=1)])
    error = ResourceError("Something is missing.")
    monkeypatch.setattr(kind, name, _failing(kind, name, 5, error))
    with pytest.raises(ResourceError) as caught:
        restore.restore_video(source, tmp_path / "new.mp4", [TWICE], encoding=QUICK)
    assert caught.value is error
    assert tree(tmp_path) == {"old.mkv"}


WORK_AND_SAY = """
import sys, restore
def listen(position):
    if position.stage == "encode" and position.done > 2:
        print("encoding", flush=True)
steps = [restore.Upscale(model="built-in", scale=2)]
restore.restore_video("old.mkv", "new.mp4", steps, progress=restore.Progress(listen))
"""


def test_a_process_that_is_killed_leaves_no_file_under_the_final_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path / "old.mkv", pictures(400))
    monkeypatch.setenv("PYTHONPATH", str(Path(restore.__file__).parents[1]))
    words = [sys.executable, "-c", WORK_AND_SAY]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "encoding\n"
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)
    assert "new.mp4" not in tree(tmp_path)


# --- what is refused before the work


@pytest.mark.parametrize(
    ("name", "options", "limits", "error", "said"),
    [
        ("new.mp4", {}, {"max_clip_seconds": 1}, LimitError, "RESTORE_MAX_CLIP_MINUTES"),
        ("new.mp4", {}, {"max_clip_bytes": 1000}, LimitError, "RESTORE_MAX_CLIP_MB"),
        ("new.mp4", {}, {"max_output_pixels": 20_000}, LimitError, "RESTORE_MAX_OUTPUT_MEGAPIXELS"),
        ("new.mp4", {}, {"min_free_bytes": 2**60}, OutputError, "RESTORE_MIN_FREE_MB"),
        ("new.mp4", {}, {"memory_bytes": 1}, ResourceError, "memory"),
        ("new.avi", {}, {}, OutputError, ".mkv"),
        ("new.mp4", {"encoding": LOSSLESS}, {}, OutputError, "FFV1"),
        ("new.mp4", {"encoding": "h264"}, {}, SettingsError, "restore.Encoding"),
        ("none/new.mp4", {}, {}, OutputError, "folder"),
        ("new.mp4", {"start": 9}, {}, SettingsError, "behind the end"),
        ("new.mp4", {"start": 1, "end": 0.5}, {}, SettingsError, "before its start"),
        ("new.mp4", {"start": -1}, {}, SettingsError, "start is -1"),
        ("new.mp4", {"end": "soon"}, {}, SettingsError, "'soon'"),
        ("new.mp4", {"cuts": [2, 1]}, {}, SettingsError, "do not rise"),
        ("new.mp4", {"cuts": "none"}, {}, SettingsError, "'none'"),
        ("new.mp4", {"deinterlace": "blend"}, {}, SettingsError, "'blend'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_decoded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: dict[str, Any],
    limits: dict[str, int],
    error: type[RestoreError],
    said: str,
) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(50))

    def decode(_: ClipReader) -> Iterator[Frame]:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(ClipReader, "frames", decode)
    with pytest.raises(error, match=said):
        restore.restore_video(source, tmp_path / name, [TWICE], settings=replace(load_settings(), **limits), **options)
    assert tree(tmp_path) == {"old.mkv"}


def test_a_part_of_a_clip_that_is_too_long_may_be_short_enough(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(50))
    settings = replace(load_settings(), max_clip_seconds=1)
    report = restore.restore_video(source, tmp_path / "new.mp4", [], end=1, settings=settings, encoding=QUICK)
    assert report.clip is not None
    assert report.clip.frames == 25


# --- progress and memory


def test_every_part_of_the_work_says_how_many_frames_it_has_done(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mkv", pictures(30))
    positions: list[Position] = []
    caller = threading.current_thread()

    def listen(position: Position) -> None:
        assert threading.current_thread() is caller
        positions.append(position)

    restore.restore_video(source, tmp_path / "new.mp4", [TWICE], progress=Progress(listen), encoding=QUICK)
    parts = {0: "decode", 1: "upscale", 2: "encode"}
    assert {(position.index, position.stage, position.stages) for position in positions} == {
        (index, name, 3) for index, name in parts.items()
    }
    assert {position.unit for position in positions} == {"frames"}
    for index in parts:
        own = [position for position in positions if position.index == index]
        assert [position.fraction for position in own] == sorted(position.fraction for position in own)
        assert (own[-1].done, own[-1].total) == (30, 30)
        assert len(own) > 2
    assert any(position.done % 1 for position in positions if position.index == 1)  # within a frame too


PEAK = """
import resource, sys, restore
report = restore.restore_video(sys.argv[1], sys.argv[2], [], encoding=restore.Encoding(preset="ultrafast"))
print(report.clip.frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(restore.__file__).parents[1]))
    peaks = []
    some = pictures(20, 640, 360)
    for count in (60, 240):
        source = write_clip(
            tmp_path / f"{count}.mkv", some * (count // 20), options={"preset": "ultrafast"}, sounds=[Sound(seconds=9)]
        )
        output = subprocess.run(
            [sys.executable, "-c", PEAK, str(source), str(tmp_path / "new.mp4")],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=LIMIT,
        ).stdout
        frames, peak = map(int, output.split())
        assert frames == count
        peaks.append(peak)
    assert peaks[1] < 1.05 * peaks[0]


# --- frames in memory


def test_frames_in_memory_come_out_as_what_they_went_in() -> None:
    arrays: list[Pixels] = pictures(3, 32, 24)
    enlarged = list(restore.restore_frames(arrays, [TWICE]))
    assert [(frame.shape, frame.dtype) for frame in enlarged] == [((48, 64, 3), np.uint8)] * 3
    frames = [
        Frame(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255, pts=Fraction(index, 7), duration=Fraction(1, 7))
        for index, pixels in enumerate(arrays)
    ]
    for index, (frame, array) in enumerate(zip(restore.restore_frames(frames, [TWICE]), enlarged, strict=True)):
        assert (frame.pts, frame.duration) == (Fraction(index, 7), Fraction(1, 7))
        assert np.array_equal(frame.pixels.mul(255).round().permute(1, 2, 0).numpy(), array)


def test_frames_are_asked_for_one_by_one_and_equal_pictures_are_computed_once() -> None:
    taken: list[int] = []

    def endless() -> Iterator[Pixels]:
        while True:
            taken.append(len(taken))
            yield picture(len(taken) // 3, 32, 24)

    positions: list[Position] = []
    stream = restore.restore_frames(endless(), [TWICE], Progress(positions.append))
    assert not taken
    first = [next(stream) for _ in range(6)]
    assert len(taken) == 6
    assert [np.array_equal(one, other) for one, other in pairwise(first)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    stream.close()
    assert {position.unit for position in positions} == {"frames"}


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([np.zeros((4, 4), np.uint8)], "Frame 1"),
        ([np.zeros((4, 4, 3), np.float32)], "Frame 1"),
        ([np.zeros((4, 4, 3), np.uint8), Frame(torch.zeros(3, 4, 4))], "Frame 2"),
    ],
)
def test_frames_that_are_none_are_refused(frames: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(restore.restore_frames(frames, [TWICE]))
