"""Clips that are done segment by segment: what is kept, what is done again, and that nobody sees the joints."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import restore
from restore import Encoding, Faces, Frame, Interpolate, Paused, Progress, Report, Upscale
from restore.clip_plan import ClipOptions, plan_clip
from restore.errors import BusyError, OutputError, ResourceError
from restore.executors import LocalExecutor
from restore.inference import memory
from restore.jobs import Job, JobStore, State
from restore.media.clips.probe import probe
from restore.media.clips.reader import ClipReader
from restore.progress import Position
from restore.segments.folder import Shelf, tidy
from restore.segments.split import LONGEST_SHARE, Bounds, Needs, Splitter, needs_of
from restore.segments.walk import Item, Walk
from restore.settings import Settings, load_settings
from restore.stages.upscale import OpenUpscale
from tests.clips import Sound, pictures, write_clip

TWICE = Upscale(model="built-in", scale=2)
LOSSLESS = Encoding(codec="ffv1")
QUICK = Encoding(preset="ultrafast")
SHORT = 0.3  # seconds of a segment, so that small clips have several
LIMIT = 120.0  # seconds that a child may take on a busy machine

Seen = list[tuple[Fraction, bytes]]


@pytest.fixture
def settings() -> Settings:
    return replace(load_settings(), segment_seconds=SHORT)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_shots(tmp_path, 32, 24)


def write_shots(folder: Path, width: int, height: int) -> Path:
    """Two seconds and a half in three shots, at no even pace, with B-frames, sound and a title."""
    plain = pictures(20, width, height)
    frames = plain[:15] + [np.ascontiguousarray(255 - each) for each in plain]
    frames += [np.ascontiguousarray(each[::-1] // 2) for each in plain[:15]]
    ticks = [40 * index + (35 if index % 7 else 0) * (index // 7) % 90 for index in range(50)]
    ticks = [tick + 3 * index for index, tick in enumerate(sorted(ticks))]
    return write_clip(
        folder / "old.mkv",
        frames,
        times=ticks,
        time_base=Fraction(1, 1000),
        options={"bf": "3", "crf": "10"},
        sounds=[Sound(seconds=2.5)],
        metadata={"title": "A ride"},
    )


def seen(path: Path) -> Seen:
    """When each frame of the clip at ``path`` is shown, and its pixels."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb48le").tobytes()) for frame in frames]


def times(path: Path) -> list[int]:
    """The ticks at which each frame is shown, and at which the last one ends; none may be decoded after it is shown."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        known = [packet for packet in packets if packet.dts is not None and packet.pts is not None]
        assert all(one.dts < other.dts for one, other in pairwise(known))  # type: ignore[operator]
        assert all(packet.dts <= packet.pts for packet in known)  # type: ignore[operator]
        shown = sorted(packet.pts or 0 for packet in packets)
        return [*shown, max((packet.pts or 0) + (packet.duration or 0) for packet in packets)]


def heard(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(audio=0)
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in packets if packet.size]


def made(report: Report) -> tuple[int, int]:
    """How many segments there are, and how many of them this run made."""
    assert report.clip is not None
    return report.clip.segments["all"], report.clip.segments["made"]


def stop_after(segments: int, *arguments: Any, **options: Any) -> None:
    """Do so many segments, and let go of the work as a process does that ends."""
    work = restore.restore_in_segments(*arguments, **options)
    for _ in range(segments):
        next(work)
    work.close()


# --- where a clip is cut


@given(
    gaps=st.lists(st.fractions(Fraction(1, 100), 3, max_denominator=1001), min_size=1, max_size=60),
    cuts=st.sets(st.integers(1, 59)),
    seconds=st.fractions(Fraction(1, 10), 5, max_denominator=100),
)
def test_segments_follow_each_other_and_end_at_cuts_where_they_can(
    gaps: list[Fraction], cuts: set[int], seconds: Fraction
) -> None:
    pts = [sum(gaps[:index], Fraction(-1, 3)) for index in range(len(gaps))]
    splitter = Splitter(seconds)
    begins = [index for index, time in enumerate(pts) if splitter.begins(time, cut=index in cuts)]
    assert begins[0] == 0
    for first, following in pairwise([*begins, len(pts)]):
        inside = [index for index in range(first + 1, following) if pts[index] - pts[first] >= seconds]
        assert not any(index in cuts for index in inside)
        assert all(pts[index] - pts[first] < LONGEST_SHARE * seconds for index in inside)
        if following < len(pts):
            least = seconds if following in cuts else LONGEST_SHARE * seconds
            assert pts[following] - pts[first] >= least


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    cuts=st.sets(st.integers(1, 7)),
    kept=st.sets(st.integers(0, 7)),
    before=st.integers(0, 12),
    after=st.integers(0, 12),
    over=st.integers(0, 2),
)
def test_every_segment_gets_its_own_frames_and_those_around_it_whatever_is_kept(
    lengths: list[int], cuts: set[int], kept: set[int], before: int, after: int, over: int
) -> None:
    owners = [number for number, length in enumerate(lengths) for _ in range(length)]
    needs = Needs(before, after, over)

    def items() -> Iterator[Item]:
        for index, number in enumerate(owners):
            frame = Frame(None, pts=Fraction(index))  # type: ignore[arg-type]  # nobody looks at the pixels
            yield Item(frame, index, number, index > 0 and owners[index - 1] != number and number in cuts)

    def given_to_each(kept: set[int]) -> dict[int, tuple[list[int], Bounds]]:
        walk, found = Walk(items(), needs), {}
        while (segment := walk.next_segment(kept)) is not None:
            numbers = [int(frame.pts) for frame in walk.frames(segment)]
            found[segment.number] = numbers, segment.bounds
        return found

    whole = given_to_each(set())
    assert given_to_each(kept) == {number: each for number, each in whole.items() if number not in kept}
    for number, (numbers, bounds) in whole.items():
        own = [index for index, owner in enumerate(owners) if owner == number]
        assert (bounds.first, bounds.frames, bounds.end is None) == (own[0], len(own), number == len(lengths) - 1)
        first = own[0] - (0 if number in cuts else min(before, own[0]))
        last = own[-1] + (min(after, over) if number + 1 in cuts else after)
        assert numbers == list(range(first, min(last, len(owners) - 1) + 1))
        assert Bounds.from_dict(json.loads(json.dumps(bounds.to_dict()))) == bounds


def test_what_a_stage_needs_is_counted_in_the_frames_of_those_before_it() -> None:
    chain = [TWICE, Interpolate(model="built-in", factor=2), Faces(smoothing=1)]
    own = Faces().context_frames
    first, second, third, end = needs_of(chain, [Fraction(25), Fraction(25), Fraction(50), Fraction(50)])
    assert end == Needs()
    assert (third.before, third.after) == (own.before, own.after) != (0, 0)
    assert own.before / 2 <= second.before <= own.before / 2 + 2
    assert own.after / 2 + 1 <= second.after <= own.after / 2 + 3
    assert (second.over_cut, first) == (1, second)


# --- the result


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps",
    [[], [TWICE, Interpolate(model="built-in", fps=30)], [Interpolate(model="built-in", slow_motion=True)]],
    ids=["copy", "larger and smooth", "slow"],
)
def test_the_frames_are_those_of_a_run_without_segments(
    clip: Path, tmp_path: Path, settings: Settings, steps: list[Any]
) -> None:
    what: dict[str, Any] = {"steps": steps, "settings": settings, "encoding": LOSSLESS}
    one = restore.restore_video(clip, tmp_path / "one.mkv", **what)
    report = restore.restore_video(clip, tmp_path / "joined.mkv", work=tmp_path / "work", **what)
    assert made(report)[0] > 3
    assert seen(tmp_path / "joined.mkv") == seen(tmp_path / "one.mkv")
    assert times(tmp_path / "joined.mkv") == times(tmp_path / "one.mkv")
    assert heard(tmp_path / "joined.mkv") == heard(tmp_path / "one.mkv")
    assert one.clip is not None
    assert report.clip is not None
    same = ("cuts", "read", "frames", "notes", "reused", "frame_rate")
    assert {name: getattr(report.clip, name) for name in same} == {name: getattr(one.clip, name) for name in same}
    assert [(each.frames, each.notes, each.models) for each in report.stages] == [
        (each.frames, each.notes, each.models) for each in one.stages
    ]
    assert restore.probe(tmp_path / "joined.mkv").metadata == restore.probe(tmp_path / "one.mkv").metadata


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        (Encoding(preset="veryfast"), "out.mp4"),
        (Encoding(preset="veryfast"), "out.mkv"),
        (Encoding(codec="hevc", preset="superfast"), "out.mov"),
        (Encoding(codec="av1", preset="10"), "out.mp4"),
        (Encoding(codec="prores"), "out.mov"),
    ],
    ids=["h264-mp4", "h264-mkv", "hevc-mov", "av1-mp4", "prores-mov"],
)
def test_joints_are_exact_in_time_in_every_codec(
    tmp_path: Path, settings: Settings, encoding: Encoding, name: str
) -> None:
    clip = write_shots(tmp_path, 96, 64)
    (tmp_path / "one").mkdir()
    for target, work in ((tmp_path / "one" / name, None), (tmp_path / name, tmp_path / "work")):
        restore.restore_video(clip, target, [], settings=settings, encoding=encoding, work=work)
    assert times(tmp_path / name) == times(tmp_path / "one" / name)
    one, joined = restore.probe(tmp_path / "one" / name), restore.probe(tmp_path / name)
    assert joined.video == replace(one.video, bit_rate=joined.video.bit_rate)
    for (pts, old), (moment, new) in zip(seen(tmp_path / "one" / name), seen(tmp_path / name), strict=True):
        assert pts == moment
        assert np.abs(_numbers(old) - _numbers(new)).mean() < 0.03
    assert heard(tmp_path / name) == heard(tmp_path / "one" / name)


def _numbers(data: bytes) -> NDArray[np.float64]:
    return np.frombuffer(data, np.uint16) / 65535


# --- what is kept


def test_another_container_sound_or_name_computes_nothing_again(
    clip: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Interpolate(model="built-in", slow_motion=True)
    what: dict[str, Any] = {"settings": settings, "encoding": QUICK, "work": tmp_path / "work"}
    first = restore.restore_video(clip, tmp_path / "one.mp4", [slow], **what)
    assert made(first)[0] == made(first)[1] > 3

    def pictures(reader: ClipReader) -> Iterator[Any]:
        raise AssertionError("decoded again")

    monkeypatch.setattr(ClipReader, "pictures", pictures)
    clip.rename(tmp_path / "renamed.mkv")
    silent = replace(slow, sound="none")
    report = restore.restore_video(tmp_path / "renamed.mkv", tmp_path / "two.mkv", [silent], **what)
    assert made(report) == (made(first)[0], 0)
    assert [pixels for _, pixels in seen(tmp_path / "two.mkv")] == [pixels for _, pixels in seen(tmp_path / "one.mp4")]
    assert not restore.probe(tmp_path / "two.mkv").audio
    assert (report.stages[0].notes, report.stages[0].frames) == (first.stages[0].notes, first.stages[0].frames)
    assert first.clip is not None
    assert report.clip is not None
    assert (report.clip.cuts, report.clip.read) == (first.clip.cuts, first.clip.read)
    with pytest.raises(AssertionError, match="decoded again"):
        restore.restore_video(tmp_path / "renamed.mkv", tmp_path / "two.mkv", [replace(slow, factor=3)], **what)


def test_lossless_frames_are_encoded_anew_without_being_computed(
    clip: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    what: dict[str, Any] = {"settings": settings, "work": tmp_path / "work"}
    restore.restore_video(clip, tmp_path / "one.mp4", [TWICE], keep_master=True, encoding=QUICK, **what)

    def run(*arguments: Any) -> Iterator[Frame]:
        raise AssertionError("computed again")

    monkeypatch.setattr(OpenUpscale, "run", run)
    report = restore.restore_video(clip, tmp_path / "two.mkv", [TWICE], encoding=LOSSLESS, **what)
    assert made(report)[1] == 0
    monkeypatch.undo()
    restore.restore_video(clip, tmp_path / "plain.mkv", [TWICE], settings=settings, encoding=LOSSLESS)
    for (pts, old), (moment, new) in zip(seen(tmp_path / "plain.mkv"), seen(tmp_path / "two.mkv"), strict=True):
        assert pts == moment
        assert (
            np.abs(_numbers(old) - _numbers(new)).max() < 0.02
        )  # of twelve bits on the way to the eight of the source


def test_a_damaged_segment_is_made_again_and_no_other(clip: Path, tmp_path: Path, settings: Settings) -> None:
    what: dict[str, Any] = {"steps": [TWICE], "settings": settings, "encoding": LOSSLESS, "work": tmp_path / "work"}
    restore.restore_video(clip, tmp_path / "one.mkv", **what)
    segments = sorted((tmp_path / "work").rglob("0*.mkv"))
    data = bytearray(segments[1].read_bytes())
    data[len(data) // 2] ^= 255
    segments[1].write_bytes(data)
    segments[3].with_suffix(".json").write_text("{")
    report = restore.restore_video(clip, tmp_path / "two.mkv", **what)
    assert made(report) == (len(segments), 2)
    assert seen(tmp_path / "two.mkv") == seen(tmp_path / "one.mkv")


def test_what_is_done_can_be_seen_at_any_time_with_as_much_sound(
    clip: Path, tmp_path: Path, settings: Settings
) -> None:
    what: dict[str, Any] = {"settings": settings, "encoding": QUICK, "work": tmp_path / "work"}
    with pytest.raises(OutputError, match="not one frame"):
        restore.restore_partly(clip, tmp_path / "part.mp4", [TWICE], **what)
    stop_after(3, clip, tmp_path / "new.mp4", [TWICE], **what)
    done = restore.restore_partly(clip, tmp_path / "part.mp4", [TWICE], **what)
    restore.restore_video(clip, tmp_path / "new.mp4", [TWICE], **what)
    part, whole = seen(tmp_path / "part.mp4"), seen(tmp_path / "new.mp4")
    assert 0 < len(part) < len(whole)
    assert part == whole[: len(part)]
    assert done.segments in (2, 3)
    last, _ = heard(tmp_path / "part.mp4")[-1]
    assert done.until - Fraction(1, 10) < last < done.until < heard(tmp_path / "new.mp4")[-1][0]


# --- interruptions


def test_a_stop_keeps_what_is_done_and_says_so(clip: Path, tmp_path: Path, settings: Settings) -> None:
    what: dict[str, Any] = {"steps": [TWICE], "settings": settings, "encoding": LOSSLESS, "work": tmp_path / "work"}

    def listen(position: Position) -> None:
        if position.stage == "encode" and position.done > 25:
            progress.cancel()

    progress = Progress(listen)
    with pytest.raises(Paused, match="What is done is kept"):
        restore.restore_video(clip, tmp_path / "new.mkv", progress=progress, **what)
    assert not (tmp_path / "new.mkv").exists()
    positions: list[Position] = []
    report = restore.restore_video(clip, tmp_path / "new.mkv", progress=Progress(positions.append), **what)
    segments, again = made(report)
    assert 0 < again < segments
    assert next(each.done for each in positions if each.stage == "encode") > 0  # what was done counts as such
    restore.restore_video(clip, tmp_path / "one.mkv", **{**what, "work": tmp_path / "other"})
    assert seen(tmp_path / "new.mkv") == seen(tmp_path / "one.mkv")
    assert report.stages[0].frames == len(seen(tmp_path / "one.mkv"))


RUN = """
import restore
from dataclasses import replace
settings = replace(restore.load_settings(), segment_seconds=0.3)
steps = [restore.Interpolate(model="built-in", fps=30)]
work = restore.restore_in_segments("old.mkv", "new.mkv", steps, work="work", settings=settings)
print("begun", flush=True)
for done in work:
    print(done.segments, flush=True)
"""


def killed(folder: Path, wait: Callable[[subprocess.Popen[str]], object]) -> None:
    """Run the work, and kill it after ``wait``."""
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        wait(process)
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)


def results(path: Path) -> tuple[Seen, list[int], list[tuple[Fraction, bytes]]]:
    return seen(path), times(path), heard(path)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(restore.__file__).parents[1]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.usefixtures("children")
@pytest.mark.parametrize("segments", [1, 3])
def test_a_run_that_is_killed_goes_on_and_gives_the_same_frames(
    clip: Path, tmp_path: Path, settings: Settings, segments: int
) -> None:
    def wait(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        while int(process.stdout.readline()) < segments:
            pass

    what: dict[str, Any] = {"settings": settings}
    steps = [Interpolate(model="built-in", fps=30)]
    killed(tmp_path, wait)
    report = restore.restore_video(clip, tmp_path / "new.mkv", steps, work=tmp_path / "work", **what)
    assert made(report)[0] - made(report)[1] >= segments
    restore.restore_video(clip, tmp_path / "one.mkv", steps, work=tmp_path / "other", **what)
    assert results(tmp_path / "new.mkv") == results(tmp_path / "one.mkv")


@pytest.mark.slow
@pytest.mark.usefixtures("clip", "children")
def test_a_run_can_be_killed_at_any_moment(tmp_path: Path) -> None:
    began = time.monotonic()
    killed(tmp_path, lambda process: process.wait(LIMIT))
    whole, wanted = time.monotonic() - began, results(tmp_path / "new.mkv")
    chance = random.Random(20)
    for _ in range(20):
        shutil.rmtree(tmp_path / "work")
        (tmp_path / "new.mkv").unlink()
        killed(tmp_path, lambda process: time.sleep(chance.uniform(0, 1) * whole))
        if (tmp_path / "new.mkv").exists():  # whole, or it would not have its name
            assert results(tmp_path / "new.mkv") == wanted
        killed(tmp_path, lambda process: process.wait(LIMIT))
        assert results(tmp_path / "new.mkv") == wanted


def test_two_cannot_do_the_same_work_at_once(clip: Path, tmp_path: Path, settings: Settings) -> None:
    what: dict[str, Any] = {"settings": settings, "encoding": QUICK, "work": tmp_path / "work"}
    first = restore.restore_in_segments(clip, tmp_path / "one.mp4", [TWICE], **what)
    next(first)
    with pytest.raises(BusyError, match="at work on this very clip"):
        restore.restore_video(clip, tmp_path / "two.mp4", [TWICE], **what)
    restore.restore_video(clip, tmp_path / "two.mp4", [], **what)  # other work is not in the way
    first.close()
    restore.restore_video(clip, tmp_path / "two.mp4", [TWICE], **what)


def test_a_full_disk_ends_the_work_and_what_is_done_stays(
    clip: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    what: dict[str, Any] = {"steps": [], "settings": settings, "encoding": QUICK, "work": tmp_path / "work"}
    usage = namedtuple("usage", "total used free")
    usual, put = shutil.disk_usage, Shelf.put
    full = False

    def put_two(shelf: Shelf, record: Any) -> None:
        nonlocal full
        put(shelf, record)
        full = record.bounds.number >= 1

    monkeypatch.setattr(Shelf, "put", put_two)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0) if full else usual(path))
    with pytest.raises(OutputError, match=r"almost full.*What is done is kept"):
        restore.restore_video(clip, tmp_path / "new.mp4", **what)
    monkeypatch.undo()
    segments, again = made(restore.restore_video(clip, tmp_path / "new.mp4", **what))
    assert again == segments - 2


# --- housekeeping and jobs


def test_old_work_goes_and_so_does_the_oldest_where_there_is_too_much(
    clip: Path, tmp_path: Path, settings: Settings
) -> None:
    root = tmp_path / "work"
    (root / "mine").mkdir(parents=True)
    os.utime(root / "mine", (0, 0))
    what: dict[str, Any] = {"settings": settings, "encoding": QUICK, "work": root}
    for start in ("0", "0.5", "1"):
        restore.restore_video(clip, tmp_path / "new.mp4", [], start=start, **what)
    jobs = sorted(root.glob("*/job.json"), key=lambda path: path.stat().st_mtime)
    assert len(jobs) == 3
    os.utime(jobs[0], (0, time.time() - 1000))
    tidy(root, replace(settings, work_keep_seconds=500))
    assert [job.exists() for job in jobs] == [False, True, True]
    held = restore.restore_in_segments(clip, tmp_path / "new.mp4", [TWICE], **what)
    next(held)
    tidy(root, replace(settings, work_keep_bytes=1), keep=jobs[2].parent)
    assert [job.exists() for job in jobs] == [False, False, True]
    assert len(list(root.glob("*/job.json"))) == 2  # what somebody is at stays
    held.close()
    assert (root / "mine").exists()  # whatever else lies there is not ours


def test_a_job_does_a_segment_at_a_time_and_another_one_goes_on_from_there(
    clip: Path, tmp_path: Path, settings: Settings
) -> None:
    reports: list[Report] = []

    def work(progress: Progress, folder: Path) -> Any:
        options: dict[str, Any] = {"settings": settings, "work": tmp_path / "work", "progress": progress}
        report = yield from restore.restore_in_segments(clip, folder / "new.mp4", [], encoding=QUICK, **options)
        reports.append(report)
        return {"file": "new.mp4"}

    first = Job("x" * 22, tmp_path, "first", work, lambda job: 0)
    assert [first.step() for _ in range(2)] == [False, False]
    assert first.snapshot().state is State.RUNNING
    first.stop()
    assert first.step()
    assert first.snapshot().state is State.PAUSED
    assert "What is done is kept" in (first.snapshot().error or "")
    assert not first.folder.exists()
    store = JobStore(tmp_path / "jobs", LocalExecutor(), keep_seconds=60, keep_bytes=2**30, max_waiting=1)
    second = store.begin(work, title="second")
    assert second.wait(LIMIT)
    assert second.result() == {"file": "new.mp4"}
    segments, again = made(reports[0])
    assert 0 < again < segments
    store.close(LIMIT)


def test_the_frames_around_a_segment_and_those_of_a_window_count_as_memory(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = [Upscale(model="basicvsr-pp", scale=4), restore.Colorize(model="built-in-colour")]
    around, earlier = (stage.context_frames.before for stage in chain)
    assert around > 0
    assert earlier > 0
    small, large = 64 * 48, 256 * 192
    window = 7  # the shortest that it is given, and the frame behind it
    colour = chain[1]
    waiting = colour.frames_held * large
    assert waiting > 0
    beside = 2 * around + earlier + colour.context_frames.after
    values = 6 * large + waiting + (window + beside) * small + earlier * large
    path = write_clip(tmp_path / "clip.mp4", pictures(2, 64, 48))

    def plan() -> None:
        plan_clip(probe(path, settings), path, tmp_path / "new.mp4", chain, ClipOptions(), settings)

    monkeypatch.setattr(memory, "available", lambda settings, device: 12 * values)
    plan()
    monkeypatch.setattr(memory, "available", lambda settings, device: 12 * values - 1)
    with pytest.raises(ResourceError, match="choose a smaller scale"):
        plan()
