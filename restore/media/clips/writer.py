"""Frames into a clip: encoded, timed exactly, with everything else of the source beside them.

The encoder is told that frame number n is shown at time n; their true times are laid over its packets afterwards. So
no encoder ever rounds, drops or repeats a frame, variable rates are kept, and every timestamp is the exact one rounded
to a tick of the container, which does not add up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from torch import Tensor

from restore.errors import InputError, OutputError
from restore.frame import Frame
from restore.media.atomic import replacing, unwritable
from restore.media.clips import colour
from restore.media.clips.encoders import TITLES, Plan
from restore.media.clips.planes import blank_frame
from restore.media.clips.priority import ordinary_priority
from restore.media.clips.streams import OtherStreams
from restore.report import Dropped

FORMATS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}

FINEST = 1_000_000
"""The most ticks a second that the track of a clip gets."""

MOST_REORDERED = 32
"""More frames than any encoder holds back to reorder them."""

MPEG_TICKS = 90_000
"""Ticks a second where the source has none that fit."""


@dataclass
class ClipWriter:
    """Writes one clip to ``target``, which appears under its name only when it is whole and has been opened again.

    Use it as a context: leaving it in the ordinary way finishes the file, leaving it by an exception drops the encoder
    with all it holds and leaves nothing behind. ``others`` are the sound and all else, if any; ``words`` is metadata to
    add. Of the times that frames come with, ``others.zero`` or ``start`` becomes zero; a beginning before that is put
    off to zero for all streams alike, with a note. ``check`` is called for every packet, and may raise to stop.

    ``carried``, ``dropped`` and ``notes`` say what became of the source, once the context has been left. Raises
    ``OutputError`` when the file cannot be written.
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
        self._held: tuple[VideoFrame, int] | None = None
        self._filled: tuple[Tensor, Tensor | None, VideoFrame] | None = None
        self._gap: int | None = None
        self._is_uneven = self._is_uneven_at_end = False
        self._packets = 0
        self._delay = 0
        self._crowded = 0

    def __enter__(self) -> ClipWriter:
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

    def write(self, frame: Frame) -> None:
        """Encode ``frame``, which has the size of the plan; a later one than any before it.

        A frame whose pixels are the very tensor of the one before is not converted a second time.
        """
        if (frame.width, frame.height) != (self.plan.picture.width, self.plan.picture.height):
            raise ValueError(f"a frame of {frame.width} x {frame.height} in a clip of another size")
        with self._in_words():
            if self._output is None:
                self._open(frame.pts)
            filled = self._fill(frame)
            number = self.frames
            self.frames += 1
            self._place(number, frame)
            if self._held is not None:
                self._encode(self._held, is_last=False)
            self._held = filled, number

    def _open(self, first: Fraction) -> None:
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
            output.start_encoding()
        self._base = video.time_base or Fraction(1, MPEG_TICKS)
        if self.others is not None:
            self.others.begin(output)

    def _fill(self, frame: Frame) -> VideoFrame:
        """``frame`` as the encoder takes it."""
        if self._filled is not None and self._filled[0] is frame.pixels and self._filled[1] is frame.alpha:
            return self._filled[2]
        plan = self.plan
        made, planes = blank_frame(plan.layout, frame.width, frame.height)
        colour.from_rgb(frame.pixels, frame.alpha, planes, plan.layout, plan.colour)
        if plan.pixel_format != plan.layout.name:
            made = made.reformat(format=plan.pixel_format)
        made.colorspace, made.color_primaries = plan.colour.matrix, plan.colour.primaries
        made.color_trc = plan.colour.transfer
        made.color_range = colour.FULL if plan.colour.full_range else colour.LIMITED
        self._filled = frame.pixels, frame.alpha, made
        return made

    def _place(self, number: int, frame: Frame) -> None:
        """Note when frame ``number`` is shown, and for how long, in ticks of the file."""
        start = frame.pts - self.start + self._shift
        ticks = round(start / self._base)
        if number:
            before, _ = self._times[number - 1]
            if ticks <= before:
                ticks = before + 1
                self._crowded += 1
            self._gap = self._gap or ticks - before
            self._is_uneven |= abs(ticks - before - self._gap) > 1
        duration = max(1, round((start + frame.duration) / self._base) - ticks)
        self._is_uneven_at_end = self._gap is not None and abs(duration - self._gap) > 1
        self._times[number] = ticks, duration

    def _encode(self, held: tuple[VideoFrame, int], *, is_last: bool) -> None:
        frame, number = held
        frame.pts, frame.time_base = number, 1 / self.plan.rate
        # MP4 stores how long a frame is shown as the distance to the next one in the order of decoding. The last frame
        # keeps a length of its own only if it is decoded last, which a key frame is.
        alone = is_last and (self._is_uneven or self._is_uneven_at_end) and self.plan.codec in ("h264", "hevc")
        frame.pict_type = PictureType.I if alone else PictureType.NONE
        self._mux(self._video.encode_lazy(frame))

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        assert self._output is not None
        if not self._packets:
            packets = list(packets)
            self._delay = _delay(packets)
        for packet in packets:
            self.check()
            assert packet.pts is not None
            number = packet.pts
            order = min(self._packets - self._delay, number)
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
        if self._held is None or self._output is None:
            raise InputError("There is no frame to write: the clip, or the part asked for, has none.")
        self._encode(self._held, is_last=True)
        self._mux(self._video.encode_lazy(None))
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
        """Let go of everything that is open, without encoding what is held back."""
        if self._output is not None:
            # There is an error already; that the unfinished file cannot be closed properly is of no interest. Without
            # its name, MP4 is not rearranged, which would take as long as reading and writing all of it.
            with contextlib.suppress(av.FFmpegError, OSError):
                self._temporary.unlink(missing_ok=True)
                self._output.close()
        self._held = self._filled = None

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        """Errors of FFmpeg's as those of this package."""
        try:
            yield
        except av.FFmpegError as error:
            raise unwritable(self.target, OSError(error.errno, error.strerror)) from error


def _delay(packets: list[Packet[Any]]) -> int:
    """By how many frames the encoder reorders: how long before the first frame is shown the first packet is decoded.

    ``packets`` are the first that it returned. x265 makes up wild decoding times for clips of a few frames, all of
    which it returns at once.
    """
    first = packets[0].dts if packets else None
    if first is not None and -MOST_REORDERED <= first <= 0:
        return -first
    return max((order - (packet.pts or 0) for order, packet in enumerate(packets)), default=0)


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
