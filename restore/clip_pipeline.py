"""A chain of stages over a clip, from file to file, or over frames in memory.

Decoding, the networks and encoding overlap: the first and the last have a thread of their own, and few frames wait
between them, so memory does not grow with the length of a clip. Nothing is written to disk in between.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from restore.chain import (
    DECODE,
    DECODED_AHEAD,
    ENCODE,
    ENCODED_BEHIND,
    RECIPE,
    Clock,
    cropped,
    kept_memory,
    open_stages,
    prepared,
    staged,
)
from restore.clip_plan import (
    ClipOptions,
    ClipPlan,
    Seconds,
    counts_through,
    cut_times,
    encoded_bytes,
    plan_clip,
    rates_through,
)
from restore.errors import InputError, OutputError, SettingsError
from restore.faces.keep import CropFolder
from restore.frame import Frame
from restore.gpu_segment import portion_of
from restore.inference.engine import Engine
from restore.known_shots import frames_with_known_shots, with_known_shots
from restore.media.clips.clip_file import track_time_base
from restore.media.clips.containers import open_clip
from restore.media.clips.encoders import Encoding
from restore.media.clips.probe import probe
from restore.media.clips.rates import parse_rate
from restore.media.clips.reader import ClipReader, Deinterlace
from restore.media.clips.sequence import ImageSequence
from restore.media.clips.shots import CUT_THRESHOLD, Shots, look_at_frame, shots_by
from restore.media.clips.streams import OtherStreams
from restore.media.clips.writer import ClipWriter
from restore.media.images import check_output_pixels
from restore.pipeline import given, memory_in_words, path_of, to_integers
from restore.progress import ClipProgress, Progress
from restore.regions import Rectangle
from restore.report import ClipReport, Dropped, Report, StageReport
from restore.segments.folder import WorkFolder, tidy
from restore.segments.key import encoding_key, frames_key
from restore.segments.master import master_bytes
from restore.segments.report import report_of
from restore.segments.room import bytes_in, fits
from restore.segments.run import Done, SegmentRun
from restore.settings import MEBI, Settings, load_settings
from restore.stages import OpenStage, Stage, parse_steps, recipe
from restore.stages.base import each_once
from restore.streaming import Closed, Sink, ahead
from restore.version import __version__

Picture = TypeVar("Picture", Frame, NDArray[np.uint8])


def restore_video(
    source: str | Path | ImageSequence,
    target: str | Path,
    steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any],
    start: Seconds | None = None,
    end: Seconds | None = None,
    progress: Progress | None = None,
    *,
    settings: Settings | None = None,
    encoding: Encoding | None = None,
    deinterlace: Deinterlace = "auto",
    square_pixels: bool = True,
    cuts: Literal["auto"] | Sequence[Seconds] = "auto",
    cut_threshold: float = CUT_THRESHOLD,
    untouched: str | Sequence[Rectangle] = (),
    crops: str | Path | None = None,
    work: str | Path | None = None,
    keep_master: bool = False,
) -> Report:
    """Run a chain of stages over the clip ``source`` and write the result to ``target``.

    ``source`` is a file, or an ``ImageSequence`` of numbered pictures.

    ``steps`` are settings objects or dicts, in any order, or a recipe; with ``[]`` the clip is only encoded anew.
    ``start`` and ``end`` cut a part out, in seconds from the beginning of the clip, its sound with it. ``encoding``
    says how it is encoded, by default as H.264; the suffix of ``target`` names the container. ``deinterlace`` is
    ``"auto"`` (interlaced frames become one picture each), ``"fields"`` (one for each of their two fields) or
    ``"off"``. Pixels that are not square are made so, unless ``square_pixels`` is false: then the result says what
    shape they have. ``cuts`` are the times, from the beginning of the clip, at which a new shot begins; ``"auto"``
    finds them: with a lower ``cut_threshold`` (of 255, usually 27) more of them. Each frame carries the number of its
    shot to the stages, and the report lists the cuts.

    ``untouched`` are parts of the picture that the stages leave alone, for subtitles that were burnt in: a list of
    rectangles "x,y,width,height" of the clip as it is shown, each value a share of the frame ("0.85", "85%") or its
    pixels ("864px"). In there frames are only resampled, keep their colours, and of two frames the nearer one is shown
    where others are made between them.

    Sound, subtitles, chapters and all else of the source are carried over as far as the container takes them, and every
    timestamp is kept, unless a stage makes another frame rate or slow motion: then all of it goes with the pictures. A
    frame that is exactly like the one before is not computed again. Everything that can be refused is refused before
    the work starts, and the result appears under its name only when it is whole and could be opened again. Of a damaged
    clip all that decodes is restored, and the report says how much that is. The faces that ``Faces`` restores are kept
    below the folder ``crops``, if there is one, as ``restored_faces/<name>_<frame>_<face>.png``, and in
    ``cropped_faces`` as they were.

    With a folder ``work`` the clip is done in segments, which are kept there, in a folder of their own for this clip
    and all that decides its frames: whatever interrupts the work, the same call goes on from what is done, with the
    same result, and with another container, other sound, subtitles or metadata nothing is computed anew. With
    ``keep_master`` lossless segments are kept too, if the disk has room for them, from which another codec or quality
    is made without computing the frames again.

    Raises ``RestoreError`` kinds only, and what the listener of ``progress`` raises, which is called in this thread;
    ``progress`` can stop the work.
    """
    if work is None:
        job = _begin(
            source,
            target,
            steps,
            start,
            end,
            progress,
            settings,
            encoding,
            deinterlace,
            square_pixels,
            cuts,
            cut_threshold,
            untouched,
            crops,
        )
        streamed = _Work(job.plan, job.opened, job.engine, job.parts)
        with memory_in_words("this clip"):
            streamed.run()
        return streamed.report(time.monotonic() - job.began)
    if crops is not None:
        raise SettingsError(
            "Faces are kept by their numbers in a clip that is worked on at once: leave out work or crops."
        )
    done = restore_in_segments(
        source,
        target,
        steps,
        start,
        end,
        progress,
        work=work,
        keep_master=keep_master,
        settings=settings,
        encoding=encoding,
        deinterlace=deinterlace,
        square_pixels=square_pixels,
        cuts=cuts,
        cut_threshold=cut_threshold,
        untouched=untouched,
    )
    while True:
        try:
            next(done)
        except StopIteration as end_of_work:
            report: Report = end_of_work.value
            return report


def restore_in_segments(
    source: str | Path | ImageSequence,
    target: str | Path,
    steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any],
    start: Seconds | None = None,
    end: Seconds | None = None,
    progress: Progress | None = None,
    *,
    work: str | Path,
    keep_master: bool = False,
    settings: Settings | None = None,
    encoding: Encoding | None = None,
    deinterlace: Deinterlace = "auto",
    square_pixels: bool = True,
    cuts: Literal["auto"] | Sequence[Seconds] = "auto",
    cut_threshold: float = CUT_THRESHOLD,
    untouched: str | Sequence[Rectangle] = (),
) -> Generator[Done, None, Report]:
    """``restore_video`` with a folder for ``work``, as a generator: it does one segment each time it is asked.

    What it gives says how far the work is; what it returns is the report. Everything that can be refused is refused
    when it is asked for the first segment. Closed in between, it lets go of the folder, in which what is done stays.
    """
    job = _begin(
        source,
        target,
        steps,
        start,
        end,
        progress,
        settings,
        encoding,
        deinterlace,
        square_pixels,
        cuts,
        cut_threshold,
        untouched,
    )
    run = job.in_segments(path_of("work", work), keep_master=keep_master)
    job.check_room(run.folder)
    tidy(run.folder.root, job.engine.settings, run.folder.path)
    with memory_in_words("this clip"):
        file = yield from run.steps()
    return report_of(run, file, time.monotonic() - job.began)


def restore_partly(
    source: str | Path | ImageSequence,
    target: str | Path,
    steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any],
    start: Seconds | None = None,
    end: Seconds | None = None,
    progress: Progress | None = None,
    *,
    work: str | Path,
    settings: Settings | None = None,
    encoding: Encoding | None = None,
    deinterlace: Deinterlace = "auto",
    square_pixels: bool = True,
    cuts: Literal["auto"] | Sequence[Seconds] = "auto",
    cut_threshold: float = CUT_THRESHOLD,
    untouched: str | Sequence[Rectangle] = (),
) -> Done:
    """Write to ``target`` what ``restore_video`` has done so far in ``work``, with the sound of that part.

    Nothing is computed, and whoever is at work on it goes on. The arguments are those of the work; another container
    may be chosen. Raises ``OutputError`` where there is nothing yet.
    """
    job = _begin(
        source,
        target,
        steps,
        start,
        end,
        progress,
        settings,
        encoding,
        deinterlace,
        square_pixels,
        cuts,
        cut_threshold,
        untouched,
    )
    run = job.in_segments(path_of("work", work), keep_master=False)
    run.folder.look()
    return run.join_done()


@dataclass(frozen=True)
class _Begun:
    """Work on a clip that has been planned, with its models on this machine, at the moment ``began``."""

    plan: ClipPlan
    opened: Sequence[OpenStage]
    engine: Engine
    parts: ClipProgress
    began: float

    def in_segments(self, root: Path, *, keep_master: bool) -> SegmentRun:
        """The same work in a folder below ``root``.

        Raises ``InputError`` where the clip cannot be read, and ``LimitError`` where the hardware is lent, and not for
        as long as even one frame takes.
        """
        settings = self.engine.settings
        lender = settings.lender if any(stage.models for stage in self.opened) else None
        most, seconds = None, Fraction(str(settings.segment_seconds))
        if lender is not None:
            portion = portion_of(self.plan, self.opened, settings)
            most, seconds = portion.frames, portion.seconds
        if keep_master and not self._has_room_for_master(root):
            keep_master = False
        frames = frames_key(self.plan, self.opened, self.engine, seconds, most)
        folder = WorkFolder(root, frames, encoding_key(self.plan.encoder), keep_master)
        return SegmentRun(self.plan, self.opened, self.engine, self.parts, folder, seconds, most, lender)

    def check_room(self, folder: WorkFolder) -> None:
        """Raise ``OutputError`` where the disk has no room for what is still to come into ``folder``."""
        needed = max(0.0, encoded_bytes(self.plan.encoder, self._lasts) - bytes_in(folder.encoded.folder))
        if not fits(folder.root, needed, self.engine.settings):
            raise OutputError(
                f"What is kept of {self.plan.source.name} on the way would take {needed / MEBI:.0f} MiB or more, which "
                "are not free on that disk beside those that have to stay so: make room there.",
                setting="RESTORE_MIN_FREE_MB",
                keeps_work=folder.path.exists(),
            )

    @property
    def _lasts(self) -> Fraction:
        """About how many seconds the result lasts."""
        return Fraction(self.plan.counts[-1]) / self.plan.rates[-1]

    def _has_room_for_master(self, root: Path) -> bool:
        plan = self.plan
        needed = master_bytes(plan.encoder, self._lasts)
        if plan.counts[-1] and fits(root, needed + encoded_bytes(plan.encoder, self._lasts), self.engine.settings):
            return True
        self.engine.warn(
            f"No lossless segments are kept: they would take about {needed / MEBI:.0f} MiB, which the disk does not "
            "have, or nobody knows how long the clip is."
        )
        return False


def _begin(
    source: str | Path | ImageSequence,
    target: str | Path,
    steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any],
    start: Seconds | None,
    end: Seconds | None,
    progress: Progress | None,
    settings: Settings | None,
    encoding: Encoding | None,
    deinterlace: Deinterlace,
    square_pixels: bool,
    cuts: Literal["auto"] | Sequence[Seconds],
    cut_threshold: float,
    untouched: str | Sequence[Rectangle],
    crops: str | Path | None = None,
) -> _Begun:
    """Plan the work that the arguments of ``restore_video`` ask for, and get its models."""
    began = time.monotonic()
    path = path_of("source", source.path if isinstance(source, ImageSequence) else source)
    target = path_of("target", target)
    settings = given("settings", settings, Settings) or load_settings()
    engine = Engine.start(settings, given("progress", progress, Progress) or Progress())
    engine.crops = None if crops is None else CropFolder(path_of("crops", crops), path.stem, clip=True)
    stages = parse_steps(steps)
    options = ClipOptions(
        start,
        end,
        given("encoding", encoding, Encoding) or Encoding(),
        deinterlace,
        square_pixels,
        cuts,
        cut_threshold,
        untouched,
    )
    info = probe(source if isinstance(source, ImageSequence) else path, settings)
    plan = plan_clip(info, path, target, stages, options, settings)
    engine.untouched = plan.untouched
    engine.progress.check()
    plan = with_known_shots(plan, engine)

    names = (DECODE, *(stage.stage for stage in plan.stages), ENCODE)
    opened = open_stages(plan.stages, engine, names)
    totals = [plan.counts[0], *plan.counts[1:], plan.counts[-1]]
    return _Begun(plan, opened, engine, ClipProgress(engine.progress, names, totals), began)


def restore_frames(
    frames: Iterable[Picture],
    steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any],
    progress: Progress | None = None,
    *,
    settings: Settings | None = None,
    rate: int | float | str | Fraction = 24,
    cuts: Literal["auto"] | Sequence[Seconds] | None = "auto",
    cut_threshold: float = CUT_THRESHOLD,
) -> Generator[Picture]:
    """Run a chain of stages over frames in memory, one by one as they are asked for.

    ``frames`` are ``Frame`` objects, or pictures ``(H, W, 3) uint8`` in R'G'B'; what comes out is of the same kind. One
    that is marked as a repeat of the one before, or is a picture with the very same pixels, is not computed again.

    ``rate`` is how many there are a second: pictures get their times from it, the first one at zero, and a stage that
    changes the rate takes it for that of the frames. Where a stage of the chain asks for shots (``uses_shots``),
    ``cuts`` are the times at which a new one begins; ``"auto"`` finds them as ``restore_video`` does, for which some
    frames more are taken before the first one comes out; with ``None`` each ``Frame`` says itself to which ``shot`` it
    belongs.

    Raises ``RestoreError`` kinds only: for the settings at once, for the frames when they are asked for.
    """
    settings = given("settings", settings, Settings) or load_settings()
    engine = Engine.start(settings, given("progress", progress, Progress) or Progress())
    stages = parse_steps(steps)
    if not isinstance(frames, Iterable):
        raise SettingsError(f"frames is {type(frames).__name__}: give frames, or pictures (H, W, 3) of uint8.")
    every = 1 / parse_rate(rate)
    times = None if cuts is None or cuts == "auto" else cut_times(cuts, Fraction(0))
    shots: Shots | None = shots_by(times, 1 / every, cut_threshold)
    stages = tuple(frames_with_known_shots(stages, times, 1 / every))
    if cuts is None or not any(stage.uses_shots for stage in stages):
        shots = None
    names = [stage.stage for stage in stages]
    opened = open_stages(stages, engine, names)
    rates = rates_through(stages, 1 / every)
    counts = counts_through(stages, rates, len(frames) if isinstance(frames, Sized) else 0)
    parts = ClipProgress(engine.progress, names, counts[1:])
    clocks = [Clock() for _ in stages]

    def results() -> Generator[Picture]:
        kinds: list[type] = []
        with ExitStack() as stack:
            stack.enter_context(memory_in_words("frames of this size"))
            stack.enter_context(kept_memory(engine))
            chain = _as_frames(frames, kinds, stages, settings, every)
            stack.enter_context(closing(chain))
            if shots is not None:
                chain = shots.numbered(chain, look_at_frame)
                stack.enter_context(closing(chain))
            for index, stage in enumerate(opened):
                chain = staged(stage, chain, replace(engine, rate=rates[index]), parts, index, clocks[index])
                stack.enter_context(closing(chain))
            for frame in chain:
                yield frame if kinds[0] is Frame else to_integers(frame.pixels.permute(1, 2, 0), np.dtype(np.uint8))  # type: ignore[misc]
                parts.tick()
        parts.finish()

    return results()


@dataclass
class _Work:
    """One clip on its way from file to file."""

    plan: ClipPlan
    opened: Sequence[OpenStage]
    engine: Engine
    parts: ClipProgress
    carried: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shots = self.plan.shots()
        self.reader: ClipReader = self.plan.reader(self.engine.settings, self.shots)
        self.clocks = [Clock() for _ in self.parts.names]
        self.written = 0

    def run(self) -> None:
        """Decode, run the chain and encode, all at the same time; raises what any of the three raises."""
        plan = self.plan
        with ExitStack() as stack:
            stack.enter_context(kept_memory(self.engine))
            self.sink: Sink[Frame] = stack.enter_context(
                Sink(self._encode, ENCODED_BEHIND, check=self.parts.tick, name=ENCODE)
            )
            frames = ahead(self._decoded(), DECODED_AHEAD, check=self.parts.tick, name=DECODE)
            stack.enter_context(closing(frames))
            for part, stage in enumerate(self.opened, 1):
                engine = replace(self.engine, rate=plan.rates[part - 1])
                frames = staged(stage, frames, engine, self.parts, part, self.clocks[part])
                stack.enter_context(closing(frames))
            for frame in each_once(frames, lambda frame: cropped(frame, plan)):
                self.engine.progress.show(frame)
                self.sink.put(frame)
        self.parts.finish()

    def report(self, seconds: float) -> Report:
        """What became of the clip; only after ``run``."""
        plan, reader = self.plan, self.reader
        counts = reader.counts
        encoder = plan.encoder
        clip = ClipReport(
            source=plan.info.to_dict(),
            codec=encoder.codec,
            container=encoder.container,
            pixel_format=encoder.pixel_format,
            encoder=dict(encoder.options),
            frame_rate=str(encoder.rate),
            stretch=str(plan.stretch),
            time_base=str(track_time_base(encoder)),
            frames=self.written,
            reused=counts.repeats if self.opened else 0,
            read={name: value for name, value in asdict(counts).items() if isinstance(value, int)},
            seconds={DECODE: self.clocks[0].seconds, ENCODE: self.clocks[-1].seconds},
            start=None if plan.start is None else str(plan.since_beginning(plan.start)),
            end=None if plan.end is None else str(plan.since_beginning(plan.end)),
            cuts=tuple(str(plan.since_beginning(cut)) for cut in self.shots.cuts),
            untouched=tuple(region.to_dict() for region in plan.untouched),
            notes=(*plan.notes, *reader.notes, *self.notes),
        )
        return Report(
            version=__version__,
            source=plan.source.name,
            target=plan.target.name,
            source_size=reader.size,
            target_size=plan.written,
            recipe=recipe(plan.stages),
            stages=tuple(
                StageReport(
                    settings=stage.settings.to_dict(),
                    models=stage.models,
                    device=str(self.engine.device),
                    precision=stage.precision,
                    plan=dict(stage.plan),
                    seconds=clock.seconds,
                    frames=round(done),
                    notes=stage.notes,
                )
                for stage, clock, done in zip(self.opened, self.clocks[1:-1], self.parts.done[1:-1], strict=True)
            ),
            seconds=seconds,
            carried=tuple(self.carried),
            dropped=tuple(self.dropped),
            warnings=(*plan.info.warnings, *encoder.warnings, *self.engine.warnings),
            clip=clip,
        )

    def _decoded(self) -> Generator[Frame]:
        """The frames of the source as the first stage gets them; runs in the thread that decodes."""
        ready = each_once(self.reader.frames(), lambda frame: prepared(frame, self.plan))
        while True:
            began = time.monotonic()
            frame = next(ready, None)
            self.clocks[0].seconds += time.monotonic() - began
            if frame is None:
                return
            self.parts.done[0] += 1
            yield frame
            del frame

    def _encode(self, frames: Iterator[Frame]) -> None:
        """Write ``frames`` and all else of the source; runs in the thread that encodes."""
        plan, settings = self.plan, self.engine.settings
        clock = self.clocks[-1]
        with ExitStack() as stack:
            others = None
            if plan.info.has_streams:
                container = stack.enter_context(open_clip(plan.source, settings))
                others = OtherStreams(
                    container,
                    plan.info,
                    plan.encoder.container,
                    plan.start,
                    plan.end,
                    stretch=plan.stretch,
                    keeps_sound=plan.keeps_sound,
                )
            writer = ClipWriter(
                plan.target,
                plan.encoder,
                others,
                start=plan.zero,
                words={RECIPE: json.dumps(recipe(plan.stages))},
                check=self._check_encoding,
            )
            with writer:
                for frame in frames:
                    began = time.monotonic()
                    writer.write(frame)
                    clock.seconds += time.monotonic() - began
                    self.parts.done[-1] += 1
                    del frame
                began = time.monotonic()
            clock.seconds += time.monotonic() - began
        self.carried, self.dropped, self.notes = writer.carried, writer.dropped, writer.notes
        self.written = writer.frames

    def _check_encoding(self) -> None:
        """Give up where nobody wants the result any more, or the disk is about to be full."""
        if self.sink.dropped:
            raise Closed
        least = self.engine.settings.min_free_bytes
        if shutil.disk_usage(self.plan.target.resolve().parent).free < least:
            raise OutputError(
                f"{self.plan.target.name} cannot be written: less than {least / MEBI:.0f} MiB are left free in its "
                "folder; make room.",
                setting="RESTORE_MIN_FREE_MB",
            )


def _as_frames(
    frames: Iterable[Frame] | Iterable[NDArray[np.uint8]],
    kinds: list[type],
    stages: Sequence[Stage],
    settings: Settings,
    every: Fraction,
) -> Generator[Frame]:
    """``frames`` as ``Frame`` objects; the kind of the first is put into ``kinds``, equal pictures become repeats.

    A picture is shown for ``every`` seconds.
    """
    before: NDArray[np.uint8] | None = None
    last: Frame | None = None
    for number, item in enumerate(frames, 1):
        kinds += [type(item)] if not kinds else []
        if isinstance(item, Frame) != (kinds[0] is Frame):
            raise InputError(f"Frame {number} is of another kind than the first one: give frames, or pictures.")
        if isinstance(item, Frame):
            frame = item
        elif not isinstance(item, np.ndarray) or item.dtype != np.uint8 or item.ndim != 3 or item.shape[2] != 3:
            raise InputError(f"Frame {number} is no picture: give arrays (H, W, 3) of uint8, or restore.Frame objects.")
        elif last is not None and before is not None and np.array_equal(item, before):
            frame = replace(last, pts=last.pts + every, repeat=True)
        else:
            before = item.copy()
            pixels = torch.from_numpy(before).permute(2, 0, 1).float().div_(255)
            frame = Frame(pixels, pts=(number - 1) * every, duration=every)
        width, height = frame.width, frame.height
        for stage in stages:
            width, height = stage.output_size(width, height)
            check_output_pixels(width, height, settings)
        last = frame
        yield frame
