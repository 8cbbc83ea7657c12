"""The file of a clip: packets of pictures timed exactly, with everything else of the source beside them.

Packets come with the number of their frame, from an encoder or from segments that were encoded before. The exact times
of the frames are laid over them, each rounded to a tick of the container, so that what is rounded does not add up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from restore.errors import InputError, OutputError
from restore.media.atomic import replacing, unwritable
from restore.media.clips import colour
from restore.media.clips.encoders import TITLES, Plan
from restore.media.clips.priority import ordinary_priority
from restore.media.clips.streams import OtherStreams
from restore.report import Dropped

FORMATS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}

FINEST = 1_000_000
"""The most ticks a second that the track of a clip gets."""

MPEG_TICKS = 90_000
"""Ticks a second where the source has none that fit."""

Self = TypeVar("Self", bound="ClipFile")


@dataclass
class ClipFile:
    """One clip at ``target``, which appears under its name only when it is whole and has been opened again.

    Use it as a context: leaving it in the ordinary way finishes the file, leaving it by an exception drops all of it
    and leaves nothing behind. ``others`` are the sound and all else, if any; ``words`` is metadata to add. Of the times
    that frames come with, ``others.zero`` or ``start`` becomes zero; a beginning before that is put off to zero for all
    streams alike, with a note. ``check`` is called for every packet, and may raise to stop.

    ``frames`` counts those that were placed. ``carried``, ``dropped`` and ``notes`` say what became of the source, once
    the context has been left. Raises ``OutputError`` when the file cannot be written.
    """

    target: Path
    plan: Plan
    others: OtherStreams | None = None
    start: Fraction = Fraction(0)
    words: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[], None] = lambda: None
    carried: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    frames: int = 0

    def __post_init__(self) -> None:
        if self.others is not None:
            self.start = self.others.zero
        self._stack = ExitStack()
        self._output: OutputContainer | None = None
        self._shift = Fraction(0)
        self._times: dict[int, tuple[int, int]] = {}
        self._gap: int | None = None
        self._is_uneven = self._is_uneven_at_end = False
        self._packets = 0
        self._crowded = 0

    def __enter__(self: Self) -> Self:
        with self._in_words():
            self._temporary = self._stack.enter_context(replacing(self.target))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._drop()
            self._stack.__exit__(kind, error, trace)
            return
        try:
            with self._in_words():
                self._finish()
        except BaseException as late:
            self._drop()
            self._stack.__exit__(type(late), late, late.__traceback__)
            raise
        with self._in_words():
            self._stack.close()
        if self.others is not None:
            self.others.save_beside(self.target)
            self.carried += self.others.carried
            self.dropped += self.others.dropped
            self.notes += self.others.notes

    def open(self, first: Fraction, header: bytes | None = None) -> None:
        """Begin the file, whose first frame is shown at ``first``.

        ``header`` describes packets that were encoded before, as their own file has it; without one they come from the
        encoder of this file.
        """
        plan = self.plan
        # SVT-AV1 prints a page about itself, and can be told not to by its environment alone.
        os.environ.setdefault("SVT_LOG", "1")
        options: dict[str, str] = {}
        output = av.open(str(self._temporary), "w", format=FORMATS[plan.container])
        self._output = output
        video = output.add_stream(
            plan.kind.encoder,
            rate=plan.rate,
            options=dict(plan.options),
            width=plan.picture.width,
            height=plan.picture.height,
            time_base=1 / plan.rate,
        )
        assert isinstance(video, VideoStream)
        self._video = video
        context = video.codec_context
        context.pix_fmt = plan.pixel_format
        context.colorspace = plan.colour.matrix
        context.color_primaries = plan.colour.primaries
        context.color_trc = plan.colour.transfer
        context.color_range = colour.FULL if plan.colour.full_range else colour.LIMITED
        if plan.picture.aspect != 1:
            context.sample_aspect_ratio = plan.picture.aspect
        if plan.codec == "hevc" and plan.container in ("mp4", "mov"):
            # The parameter sets in the header alone, which is what Apple's players insist on.
            context.codec_tag = "hvc1"
        video.time_base = track_time_base(plan)
        first -= self.start
        early = min(first, self.others.earliest if self.others is not None else Fraction(0))
        if early < 0:
            self._shift = -early
            self.notes.append(
                f"The clip, or its sound, begins {float(-early):.3f} s before zero, which this kind of file does not "
                "have; all of it was put off by that much."
            )
        if self.others is not None:
            self.others.shift = self._shift
            source = self.others.source.streams[self.others.info.video.index]
            self.others.label(source, video)
            options |= self.others.add_to(output, self.words)
        else:
            output.metadata.update(self.words)
            options |= {"movflags": "use_metadata_tags"} if plan.container in ("mp4", "mov") else {}
        if plan.container in ("mp4", "mov"):
            options["movflags"] = "+".join(["faststart", *filter(None, [options.get("movflags")])])
            # The unit in which MP4 notes how much later than another a track begins; a millisecond unless it is told.
            options["movie_timescale"] = str(track_time_base(plan).denominator)
        output.container_options.update(options)
        with ordinary_priority():
            if header is not None:
                # The encoder is there for what it says of itself alone, and is never given a frame.
                context.open()
                context.extradata = header
            output.start_encoding()
        self._base = video.time_base or Fraction(1, MPEG_TICKS)
        if self.others is not None:
            self.others.begin(output)

    def place(self, pts: Fraction, duration: Fraction) -> int:
        """Note when the next frame is shown, and for how long, both in seconds; returns its number."""
        number = self.frames
        self.frames += 1
        start = pts - self.start + self._shift
        ticks = round(start / self._base)
        if number:
            before, _ = self._times[number - 1]
            if ticks <= before:
                ticks = before + 1
                self._crowded += 1
            self._gap = self._gap or ticks - before
            self._is_uneven |= abs(ticks - before - self._gap) > 1
        length = max(1, round((start + duration) / self._base) - ticks)
        self._is_uneven_at_end = self._gap is not None and abs(length - self._gap) > 1
        self._times[number] = ticks, length
        return number

    def mux(self, packet: Packet[Any], number: int, delay: int) -> None:
        """Write the ``packet`` that holds frame ``number``, which has been placed.

        Packets come in the order in which they are decoded, ``delay`` of them before the first frame is shown.
        """
        assert self._output is not None
        self.check()
        order = min(self._packets - delay, number)
        ticks, duration = self._times[number]
        packet.stream, packet.time_base = self._video, self._base
        packet.pts, packet.duration = ticks, duration
        packet.dts = self._times[order][0] if order >= 0 else self._before(order)
        if self.others is not None:
            self.others.mux_until(packet.dts * self._base)
        self._output.mux_one(packet)
        self._packets += 1
        # Whatever is still to come is decoded, and so shown, later than this; the newest is compared with the next.
        for passed in [other for other in self._times if other <= order and other != self.frames - 1]:
            del self._times[passed]

    def _before(self, order: int) -> int:
        """The decoding time of a packet ``-order`` packets before the one that is decoded when the first is shown."""
        step = max(1, round(1 / self.plan.rate / self._base))
        return self._times[0][0] + order * step

    def _finish(self) -> None:
        """Write what is left, close the file, and see that it is whole."""
        if self._output is None:
            raise InputError("There is no frame to write: the clip, or the part asked for, has none.")
        if self._packets != self.frames:
            raise OutputError(
                f"{self.target.name} cannot be written: the encoder returned {self._packets} of {self.frames} frames; "
                "choose another codec."
            )
        if self.others is not None:
            self.others.finish()
        self._output.close()
        self._check()
        if self._crowded:
            self.notes.append(
                f"{self._crowded} frames follow each other faster than {TITLES[self.plan.container]} can tell apart; "
                "they come a little later."
            )
        self.carried += [self._colours()]
        self.dropped += [Dropped(what, why) for what, why in self.plan.dropped]

    def _colours(self) -> str:
        written = self.plan.colour
        kind = "full" if written.full_range else "limited"
        hdr = self.plan.picture.hdr
        static = hdr is not None and hdr.mastering is not None and self.plan.kind.static_hdr
        return f"colour tags, {kind} range" + (", static HDR10 data" if static else "")

    def _check(self) -> None:
        """Open the file again, and see that the frames are in it and the first one decodes."""
        with av.open(str(self._temporary), format=FORMATS[self.plan.container].replace("webm", "matroska")) as written:
            streams = [stream for stream in written.streams.video if stream.width]
            if not streams:
                raise OutputError(f"{self.target.name} was written, and no picture can be found in it; try again.")
            video = streams[0]
            first = next(written.decode(video), None)
            size = self.plan.picture.width, self.plan.picture.height
            complete = video.frames in (0, self.frames)
            if first is None or (first.width, first.height) != size or not complete:
                raise OutputError(f"{self.target.name} was written, and cannot be read back; try another codec.")

    def _drop(self) -> None:
        """Let go of everything that is open."""
        if self._output is not None:
            # There is an error already; that the unfinished file cannot be closed properly is of no interest. Without
            # its name, MP4 is not rearranged, which would take as long as reading and writing all of it.
            with contextlib.suppress(av.FFmpegError, OSError):
                self._temporary.unlink(missing_ok=True)
                self._output.close()

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        """Errors of FFmpeg's as those of this package."""
        try:
            yield
        except av.FFmpegError as error:
            raise unwritable(self.target, OSError(error.errno, error.strerror)) from error


def track_time_base(plan: Plan) -> Fraction:
    """The unit of the timestamps in the file, in which those of the source and of its rate are whole numbers.

    Matroska has milliseconds in any case. Where no such unit is coarse enough for the players, it is that of MPEG.
    """
    if plan.picture.time_base is None:
        return Fraction(1, MPEG_TICKS)
    own = plan.picture.time_base.denominator
    # Half a frame, for the fields that become frames of their own.
    both = lcm(own, 2 * plan.rate.numerator)
    return Fraction(1, next((ticks for ticks in (both, own) if ticks <= FINEST), MPEG_TICKS))
