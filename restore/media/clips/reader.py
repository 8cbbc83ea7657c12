"""A clip as frames of R'G'B', each with its exact time.

What is broken is left out and counted rather than fatal: a clip that is cut off or damaged gives all that decodes, and
``ClipReader.notes`` says afterwards what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from math import floor
from pathlib import Path
from typing import Literal, get_args

import av
import torch
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from torch import Tensor

from restore.errors import InputError, ResourceError, SettingsError
from restore.frame import Frame
from restore.media.clips import animation, sequence
from restore.media.clips.colour import CHROMA_CENTRE, CHROMA_LEFT, ColourSpace, resolve, to_rgb
from restore.media.clips.containers import open_clip
from restore.media.clips.deinterlace import Deinterlacer
from restore.media.clips.facts import ClipInfo, VideoInfo
from restore.media.clips.planes import Layout, layout_of, planar, read_planes
from restore.media.clips.shots import Shots, look_at_decoded
from restore.media.clips.timing import Clock, Picture, cut
from restore.media.orientation import swaps_sides, upright
from restore.settings import Settings, load_settings

Deinterlace = Literal["auto", "fields", "off"]
"""What becomes of interlaced frames: one picture each, one for each of both fields, or what they are."""

THREADS = 2
"""Threads of the decoder: enough to stay ahead of any network, and few enough to leave it the processor."""

PREROLL = Fraction(2)
"""Seconds before a cut from which decoding begins, so that what a decoder cannot make up right after a jump into the
clip, and what deinterlacing looks back at, lie before the cut."""

ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""The decoders that give the transparency too, where the usual ones drop it without a word."""

HIDES_FRAMES = ("vp8", "vp9")
"""Codecs that store frames which are never shown, so that more are listed than come out."""

CENTRED = ("mjpeg", "mpeg1video")
"""Codecs whose samples of chroma lie in the middle between those of luma."""


@dataclass
class ReadCounts:
    """What a reader met.

    Frames that were decoded, and those of them that were given, which a cut makes fewer and ``deinterlace="fields"``
    more; those equal to the one before, those deinterlaced, and those with something wrong about them. ``undecodable``
    counts packets. ``read_until`` is the end of the last frame, on the clip's own clock.
    """

    decoded: int = 0
    frames: int = 0
    repeats: int = 0
    deinterlaced: int = 0
    synthesised: int = 0
    mended: int = 0
    resized: int = 0
    damaged: int = 0
    undecodable: int = 0
    read_until: Fraction | None = None


class ClipReader:
    """Reads the clip at ``path``, of which ``probe`` found ``info``.

    ``start`` and ``end`` are seconds on the clip's own clock, that of ``info``: what lies between is read, so that the
    first frame begins and the last ends exactly there (``timing.cut`` says which frames these are). ``shots`` says to
    which shot each frame belongs; it gets the frames as they were decoded, which are smaller than R'G'B'.

    Raises ``SettingsError`` where they leave nothing, or for another ``deinterlace`` than those that exist.
    """

    def __init__(
        self,
        path: Path,
        info: ClipInfo,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        deinterlace: Deinterlace = "auto",
        shots: Shots | None = None,
        settings: Settings | None = None,
    ) -> None:
        if deinterlace not in get_args(Deinterlace):
            raise SettingsError(f"deinterlace is {deinterlace!r}: give one of {', '.join(get_args(Deinterlace))}.")
        if start is not None and end is not None and end <= start:
            raise SettingsError("The end of the cut lies before its start: give a later end.")
        self.path, self.info, self.start, self.end = path, info, start, end
        self.deinterlace, self.shots = deinterlace, shots
        self.settings = settings or load_settings()
        self.counts = ReadCounts()
        self._stopped_by: str | None = None
        self._whole = False

    @property
    def layout(self) -> Layout:
        """How the clip stores its frames, taken apart into planes, with the transparency that lies beside them."""
        video = self.info.video
        layout = layout_of(video.pixel_format)
        if video.alpha and not layout.alpha:
            return layout_of(layout.name.replace("yuv", "yuva"))
        return layout

    @property
    def colour(self) -> ColourSpace:
        """How the clip codes R'G'B', by its tags or, where they say nothing, by the rule of ``colour.resolve``."""
        video = self.info.video
        return resolve(_tagged(video, self.layout), self.layout, video.width, video.height)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames: upright, with the clip's own pixels, square or not."""
        video = self.info.video
        return (video.height, video.width) if swaps_sides(video.orientation) else (video.width, video.height)

    def frames(self) -> Iterator[Frame]:
        """The frames, from the first one on each time this is called; ``counts`` and ``notes`` are those of this call.

        Pixels and alpha are on the CPU and never written to again. ``pts`` and ``duration`` are exact and on the clip's
        own clock, so the first one may be negative; each frame lasts until the next.

        Raises ``InputError`` if there is not a single frame, and ``ResourceError`` if the memory does not suffice.
        """
        with ExitStack() as opened:
            yield from self.converted(self._shown(opened))
        self.check_any()

    def pictures(self) -> Iterator[Picture]:
        """The same frames as they were decoded, with times and shots: quicker where nobody looks at the pixels."""
        with ExitStack() as opened:
            yield from self._shown(opened)

    def _shown(self, opened: ExitStack) -> Iterator[Picture]:
        """The pictures of the part that was asked for, deinterlaced and with their shots."""
        self.counts, self._stopped_by, self._whole = ReadCounts(), None, False
        pictures = self._timed(opened)
        video = self.info.video
        unmarked = video.scan == "interlaced" and not video.marked
        deinterlacer = Deinterlacer(self.deinterlace == "fields", video.field_order, unmarked)
        if self.deinterlace != "off":
            pictures = deinterlacer.pictures(pictures)
        pictures = cut(pictures, self.start, self.end)
        if self.shots is not None:
            look = partial(look_at_decoded, width=video.width, height=video.height)
            pictures = self.shots.numbered(pictures, look)
        for picture in pictures:
            self.counts.deinterlaced = deinterlacer.touched
            yield picture

    def check_any(self) -> None:
        """Raise ``InputError`` if not a single frame was given; only after all were asked for."""
        if not self.counts.frames:
            raise InputError(self._why_nothing())

    @property
    def notes(self) -> list[str]:
        """What the user should know of the clip now that it was read; empty if all was well."""
        counts, video = self.counts, self.info.video
        notes = []
        if counts.synthesised:
            every = not video.timed
            which = "The file has no times" if every else f"{_frames(counts.synthesised)} had no time in the file"
            notes.append(f"{which}: shown one after the other, at {float(video.frame_rate):.6g} frames a second.")
        if counts.mended:
            notes.append(f"{_frames(counts.mended)} had a time that was not behind that of the frame before: moved.")
        if counts.undecodable:
            parts = "1 part" if counts.undecodable == 1 else f"{counts.undecodable} parts"
            notes.append(f"{parts} of the video could not be decoded and had to be left out: the file is damaged.")
        if self._whole and self.start is None and video.scan == "progressive" and video.codec not in HIDES_FRAMES:
            listed = video.frames if video.frames_from != "estimated" else None
            if listed and counts.decoded < listed - video.hidden_frames:
                notes.append(f"Of the {listed} frames that the file lists, {counts.decoded} could be decoded.")
        if counts.damaged:
            notes.append(f"{_frames(counts.damaged)} came out of the file damaged: restored as found.")
        if counts.resized:
            width, height = video.width, video.height
            notes.append(f"{_frames(counts.resized)} had another size than the first one: scaled to {width}x{height}.")
        if counts.read_until is not None and self._stopped_by is not None:
            notes.append(f"The file cannot be read beyond {_seconds(counts.read_until)}: {self._stopped_by}.")
        elif counts.read_until is not None and self._whole and video.duration and video.duration_from == "header":
            read = counts.read_until - video.start
            if video.duration - read > max(2 / video.frame_rate, Fraction(1, 10)):
                wanted = _seconds(video.duration)
                notes.append(f"The clip is cut off: it should last {wanted}, and {_seconds(read)} could be read.")
        return notes

    def _why_nothing(self) -> str:
        if self.counts.read_until is None:
            why = f" ({self._stopped_by})" if self._stopped_by else ""
            return f"No picture of {self.path.name} can be decoded{why}: it is broken or cut off. Get a whole copy."
        return (
            f"{self.path.name} has no pictures between {_seconds(self.start or self.info.start)} and "
            f"{_seconds(self.end or self.counts.read_until)}: it ends at {_seconds(self.counts.read_until)}."
        )

    def _timed(self, opened: ExitStack) -> Iterator[Picture]:
        """All pictures with their times, beginning a while before the cut where the file allows to jump there."""
        video = self.info.video
        seekable = video.timed and self.info.has_streams
        if self.start is not None and seekable and self.start - PREROLL > video.start:
            container = opened.enter_context(open_clip(self.path, self.settings))
            stream = _stream(container, video)
            clock = Clock(1 / video.frame_rate)
            pictures = clock.timed(self._decoded(container, stream, jumped=True))
            try:
                container.seek(floor((self.start - PREROLL) / video.time_base), stream=stream)
                first = next(pictures, None)
            except av.FFmpegError:
                first = None
            # Some kinds of files land behind the place that was asked for, or lose the times on the way.
            if first and first.pts <= self.start and not clock.synthesised:
                yield from self._watched(chain([first], pictures), clock)
                return
            container.close()
            self.counts, self._stopped_by = ReadCounts(), None
        clock = Clock(1 / video.frame_rate)
        if self.info.container == sequence.CONTAINER:
            decoded = sequence.decoded(self.path, video, self.settings, self.start)
        elif not self.info.has_streams:
            decoded = self._animation()
        else:
            container = opened.enter_context(open_clip(self.path, self.settings))
            decoded = self._decoded(container, _stream(container, video), jumped=False)
        yield from self._watched(clock.timed(decoded), clock)

    def _watched(self, pictures: Iterator[Picture], clock: Clock) -> Iterator[Picture]:
        for picture in pictures:
            self.counts.synthesised, self.counts.mended = clock.synthesised, clock.mended
            self.counts.decoded += 1
            self.counts.read_until = picture.end
            yield picture
        self._whole = True

    def _decoded(self, container: InputContainer, stream: VideoStream, *, jumped: bool) -> Iterator[VideoFrame]:
        """Every frame that can be decoded; what cannot is counted, unless a jump into the clip explains it."""
        decoder = self._decoder(stream)
        packets = container.demux(stream)
        any_yet = not jumped
        more = True
        while more:
            try:
                packet = next(packets, None)
            except MemoryError as error:
                raise ResourceError(f"There is not enough memory to read {self.path.name}.") from error
            except (av.FFmpegError, OSError) as error:
                self._stopped_by = error.strerror or type(error).__name__
                packet = None
            more = packet is not None
            try:
                frames = decoder.decode(packet)
            except MemoryError as error:
                raise ResourceError(f"There is not enough memory to decode {self.path.name}.") from error
            except av.error.EOFError:  # the decoder was emptied before: there is nothing left in it
                return
            except av.FFmpegError:
                self.counts.undecodable += any_yet
                continue
            for frame in frames:
                any_yet = True
                if not frame.time_base:
                    frame.time_base = stream.time_base
                yield frame

    def _animation(self) -> Iterator[VideoFrame]:
        for frame in animation.decoded(self.path, self.settings, alpha=self.info.video.alpha):
            if frame is None:
                self.counts.undecodable += 1
            else:
                yield frame

    def _decoder(self, stream: VideoStream) -> VideoCodecContext:
        usual = stream.codec_context
        if not self.info.video.alpha or usual.name not in ALPHA_DECODERS:
            stream.thread_type = "AUTO"
            usual.thread_count = THREADS
            if usual.name == "libdav1d":
                # Else it decodes ahead, and where something is broken loses the good frames that it has not given yet.
                usual.options = {**usual.options, "max_frame_delay": "1"}
            return usual
        decoder = av.CodecContext.create(ALPHA_DECODERS[usual.name], "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.extradata, decoder.options, decoder.thread_count = usual.extradata, usual.options, THREADS
        return decoder

    def converted(self, pictures: Iterator[Picture]) -> Iterator[Frame]:
        """Those of ``pictures()`` that are given, as ``frames()`` gives them; ``counts`` has them alone then."""
        video = self.info.video
        last: Frame | None = None
        held: tuple[list[Tensor], Layout] | None = None
        for picture in pictures:
            coded = planar(picture.frame)
            self.counts.damaged += coded.is_corrupt
            if (coded.width, coded.height) != (video.width, video.height):
                self.counts.resized += 1
                coded = coded.reformat(width=video.width, height=video.height, interpolation="LANCZOS")
            planes, layout = read_planes(coded)
            self.counts.frames += 1
            if last and held and layout == held[1] and all(map(torch.equal, planes, held[0])):
                self.counts.repeats += 1
                last = replace(last, pts=picture.pts, duration=picture.duration, repeat=True, shot=picture.shot)
            else:
                last = self._frame(picture, planes, layout)
            held = planes, layout
            yield last

    def _frame(self, picture: Picture, planes: list[Tensor], layout: Layout) -> Frame:
        video = self.info.video
        colour = resolve(_tagged(video, layout), layout, video.width, video.height)
        pixels, alpha = to_rgb(planes, layout, colour)
        if not video.alpha:
            alpha = None
        elif alpha is None:
            alpha = torch.ones(pixels.shape[1:])
        if video.orientation != 1:
            pixels = torch.stack([_upright(channel, video.orientation) for channel in pixels])
            alpha = None if alpha is None else _upright(alpha, video.orientation)
        return Frame(pixels, alpha, layout.bits, picture.pts, picture.duration, shot=picture.shot)


def _stream(container: InputContainer, video: VideoInfo) -> VideoStream:
    stream = container.streams[video.index]
    assert isinstance(stream, VideoStream)  # what probe found there
    return stream


def _tagged(video: VideoInfo, layout: Layout) -> ColourSpace:
    tags = video.colour
    full = tags.full_range
    if full is None:
        # FFmpeg's rule: only grey and the formats that are named after JPEG have the full range unless they say so.
        full = layout.kind == "grey" or video.pixel_format.startswith("yuvj")
    location = CHROMA_CENTRE if video.codec in CENTRED else CHROMA_LEFT
    return ColourSpace(tags.matrix, tags.primaries, tags.transfer, full, location)


def _upright(plane: Tensor, orientation: int) -> Tensor:
    return torch.from_numpy(upright(plane.numpy(), orientation))


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _seconds(value: Fraction) -> str:
    return f"{float(value):.2f} s"
