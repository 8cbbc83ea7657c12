"""What is going to be done with a clip: everything that is decided, and that can be refused, before the work starts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch

from restore.errors import LimitError, OutputError, ResourceError, SettingsError
from restore.inference import memory
from restore.media.atomic import check_target
from restore.media.clips.clip_file import FINEST, MPEG_TICKS
from restore.media.clips.encoders import Encoding, Picture, Plan, plan_encoding
from restore.media.clips.facts import ClipInfo
from restore.media.clips.planes import Layout, layout_of
from restore.media.clips.reader import ClipReader, Deinterlace
from restore.media.clips.seconds import seconds_of
from restore.media.clips.shots import CUT_THRESHOLD, Shots, shots_by
from restore.media.clips.timing import NewClock
from restore.media.images import check_output_pixels
from restore.media.orientation import swaps_sides
from restore.regions import Rectangle, Region, parse_regions
from restore.segments.split import context_bytes, needs_of
from restore.settings import MEBI, MINUTE, Settings
from restore.stages import Stage

Seconds = int | float | str | Fraction
"""A time: a number of seconds, or text such as "12.5", "1001/30" or "1:02:03.5"."""

FRAMES_HELD = 6
"""Frames of the final size that exist at once, in float32, with what is made of them on the way to the encoder."""

BITS_PER_PIXEL = {"h264": 0.1, "hevc": 0.08, "av1": 0.06, "prores": 4.0, "ffv1": 4.0}
"""What a pixel of a finished clip takes at the least, at the usual quality: a disk that is full sooner is noticed."""

NEEDS_EVEN = ("h264", "hevc")


@dataclass(frozen=True)
class ClipOptions:
    """What the caller of ``restore_video`` may choose beside the chain; see there."""

    start: Seconds | None = None
    end: Seconds | None = None
    encoding: Encoding = field(default_factory=Encoding)
    deinterlace: Deinterlace = "auto"
    square_pixels: bool = True
    cuts: Literal["auto"] | Sequence[Seconds] = "auto"
    cut_threshold: float = CUT_THRESHOLD
    untouched: str | Sequence[Rectangle] = ()


@dataclass(frozen=True)
class ClipPlan:
    """The work on one clip.

    ``start``, ``end`` and ``cuts`` are on the clip's own clock; ``cuts`` is ``None`` where they are to be found, with
    ``cut_threshold``.
    ``size`` is that of a frame before the first stage, ``written`` that of the frames in the file, which may lack a row
    or a column. ``rates`` and ``counts`` are the frames a second and the frames that are expected, 0 where nobody
    knows, before the first stage and after each of them. The result lasts ``stretch`` times as long as the source.
    Inside of ``untouched`` no stage invents anything.
    """

    info: ClipInfo
    source: Path
    target: Path
    stages: tuple[Stage, ...]
    deinterlace: Deinterlace
    start: Fraction | None
    end: Fraction | None
    cuts: tuple[Fraction, ...] | None
    cut_threshold: float
    size: tuple[int, int]
    written: tuple[int, int]
    rates: tuple[Fraction, ...]
    counts: tuple[int, ...]
    stretch: Fraction
    encoder: Plan
    untouched: tuple[Region, ...]
    notes: tuple[str, ...]

    def reader(self, settings: Settings, shots: Shots | None = None) -> ClipReader:
        """A reader of the part that was asked for; without ``shots`` all of it counts as one."""
        return ClipReader(
            self.source,
            self.info,
            start=self.start,
            end=self.end,
            deinterlace=self.deinterlace,
            shots=shots,
            settings=settings,
        )

    def shots(self) -> Shots:
        """What tells the shots apart: the cuts that were given, or a search for them."""
        return shots_by(self.cuts, self.rates[0], self.cut_threshold)

    @property
    def zero(self) -> Fraction:
        """What becomes zero in the file, of the times that frames have after the last stage."""
        return NewClock.of(self.info.start, self.start, self.stretch).zero

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The size of a frame before the first stage and after each of them."""
        sizes = [self.size]
        for stage in self.stages:
            sizes.append(stage.output_size(*sizes[-1]))
        return tuple(sizes)

    @property
    def keeps_sound(self) -> bool:
        return all(stage.keeps_sound for stage in self.stages)

    def since_beginning(self, time: Fraction) -> Fraction:
        """A time on the clip's own clock in seconds from its beginning."""
        return time - self.info.start


def plan_clip(
    info: ClipInfo, source: Path, target: Path, stages: Sequence[Stage], options: ClipOptions, settings: Settings
) -> ClipPlan:
    """Decide everything about the work on the clip ``source``, of which ``probe`` found ``info``; decodes nothing.

    Raises ``SettingsError`` for times that make no sense, ``LimitError`` for what is too long or too large,
    ``OutputError`` for what cannot be written so or there, and ``ResourceError`` where the memory does not suffice.
    """
    start, end = (_on_its_clock(name, getattr(options, name), info) for name in ("start", "end"))
    cuts = None if options.cuts == "auto" else cut_times(options.cuts, info.start)
    shots_by(cuts, info.video.frame_rate, options.cut_threshold)  # refuses a threshold that is none
    untouched = parse_regions(options.untouched, info.video.display_size)
    seconds = _seconds(info, start, end)
    stretch = stretch_of(stages)
    _check_length(info.name, seconds, stretch, settings)
    reader = ClipReader(source, info, start=start, end=end, deinterlace=options.deinterlace, settings=settings)

    size, aspect = _squared(reader, square=options.square_pixels)
    sizes = [size]
    for stage in stages:
        sizes.append(stage.output_size(*sizes[-1]))
        check_output_pixels(*sizes[-1], settings)
    written, notes = _even(sizes[-1], reader.size, options.encoding)
    video = info.video
    rate = video.frame_rate * (2 if options.deinterlace == "fields" and video.scan != "progressive" else 1)
    rates = rates_through(stages, rate)
    as_it_was = stretch == 1 and rates[-1] == rate
    time_base = video.time_base if as_it_was else _time_base(video.time_base, rates[-1])
    encoder = plan_encoding(
        options.encoding,
        target,
        Picture(*written, _layout(reader), reader.colour, rates[-1], time_base, aspect, video.hdr),
    )
    if video.alpha and not encoder.layout.alpha:
        notes.append("What can be seen through was put on white.")
    check_target(target)
    held = context_bytes(needs_of(stages, rates), sizes)
    _check_memory([reader.size, *sizes], list(zip(stages, sizes, strict=False)), held, settings)
    _check_disk(target, encoder, None if seconds is None else seconds * stretch, settings)
    return ClipPlan(
        info=info,
        source=source,
        target=target,
        stages=tuple(stages),
        deinterlace=options.deinterlace,
        start=start,
        end=end,
        cuts=cuts,
        cut_threshold=options.cut_threshold,
        size=size,
        written=written,
        rates=rates,
        counts=counts_through(stages, rates, _expected(info, start, end, seconds, rate)),
        stretch=stretch,
        encoder=encoder,
        untouched=untouched,
        notes=tuple(notes),
    )


def _on_its_clock(name: str, value: Seconds | None, info: ClipInfo) -> Fraction | None:
    return None if value is None else info.start + seconds_of(name, value)


def cut_times(values: Sequence[Seconds], start: Fraction) -> tuple[Fraction, ...]:
    """Cuts as exact times on a clock on which the clip begins at ``start``; raises ``SettingsError``."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise SettingsError(f'cuts is {values!r}: give a list of times, or "auto".')
    times = tuple(start + seconds_of("a cut", value) for value in values)
    if any(earlier >= later for earlier, later in pairwise(times)):
        raise SettingsError("The cuts do not rise: give each time once, the earliest first.")
    return times


def _seconds(info: ClipInfo, start: Fraction | None, end: Fraction | None) -> Fraction | None:
    """How long the part from ``start`` to ``end`` lasts, ``None`` where nobody knows; refuses what begins too late."""
    video = info.video
    last = None if video.duration is None else video.start + video.duration
    if start is not None and last is not None and start >= last:
        raise SettingsError(
            f"start lies behind the end of {info.name}, which lasts {float(last - info.start):.3f} s: give an earlier "
            "one."
        )
    ends = [time for time in (end, last) if time is not None]
    return max(Fraction(0), min(ends) - (video.start if start is None else max(start, video.start))) if ends else None


def _check_length(name: str, seconds: Fraction | None, stretch: Fraction, settings: Settings) -> None:
    if seconds is None or seconds * max(stretch, Fraction(1)) <= settings.max_clip_seconds:
        return
    lasts = "lasts" if seconds > settings.max_clip_seconds else "would last, in slow motion,"
    minutes = seconds * (1 if lasts == "lasts" else stretch) / MINUTE
    raise LimitError(
        f"{name} {lasts} {float(minutes):.1f} minutes and at most {settings.max_clip_seconds / MINUTE:g} are restored: "
        "cut a part out with start and end.",
        setting="RESTORE_MAX_CLIP_MINUTES",
    )


def rates_through(stages: Sequence[Stage], rate: Fraction) -> tuple[Fraction, ...]:
    """The frames a second of a clip of ``rate`` before the first of ``stages`` and after each.

    Raises ``LimitError`` where a stage can make no such rate.
    """
    rates = [rate]
    for stage in stages:
        rates.append(stage.output_rate(rates[-1]))
    return tuple(rates)


def counts_through(stages: Sequence[Stage], rates: Sequence[Fraction], frames: int) -> tuple[int, ...]:
    """About how many frames there are before the first of ``stages`` and after each, where ``frames`` come in."""
    counts = [Fraction(frames)]
    for stage, (before, after) in zip(stages, pairwise(rates), strict=True):
        counts.append(counts[-1] * stage.stretch * after / before)
    return tuple(max(1, round(count)) if frames else 0 for count in counts)


def stretch_of(stages: Sequence[Stage]) -> Fraction:
    """How many times as long as its source the result of a chain is."""
    return math.prod((stage.stretch for stage in stages), start=Fraction(1))


def _time_base(own: Fraction | None, rate: Fraction) -> Fraction | None:
    """The unit of times of which those of the source, in ``own``, become frames at another ``rate``.

    If both cannot be whole numbers of it, those of the result are, which all lie on the grid of the new rate.
    """
    if own is None or math.lcm(own.denominator, 2 * rate.numerator) <= FINEST:
        return own
    return Fraction(1, rate.numerator * max(1, MPEG_TICKS // rate.numerator))


def _squared(reader: ClipReader, *, square: bool) -> tuple[tuple[int, int], Fraction]:
    """The size of an upright frame before the first stage, and the shape of its pixels."""
    video = reader.info.video
    if video.sample_aspect == 1:
        return reader.size, Fraction(1)
    if square:
        return video.display_size, Fraction(1)
    return reader.size, 1 / video.sample_aspect if swaps_sides(video.orientation) else video.sample_aspect


def _layout(reader: ClipReader) -> Layout:
    """How the clip stores its frames, without the alpha that every GIF has room for where nothing is transparent."""
    layout = reader.layout
    if layout.alpha and not reader.info.video.alpha:
        return layout_of(layout.name.replace("gbrap", "gbrp").replace("yuva", "yuv"))
    return layout


def _even(size: tuple[int, int], source: tuple[int, int], encoding: Encoding) -> tuple[tuple[int, int], list[str]]:
    """The size to write: without the last row or column where a size that the work made is odd.

    Players show H.264 and HEVC with odd sizes only where colour is not halved, which many do not. A source that is odd
    itself and stays as it is loses nothing.
    """
    width, height = size
    even = width - width % 2, height - height % 2
    wanted = encoding.codec in NEEDS_EVEN and encoding.chroma != "444" and min(even) > 0
    if not wanted or even == size or size == source:
        return size, []
    note = f"The size came out as {width}x{height}, and {even[0]}x{even[1]} of it was written: players want even sizes."
    return even, [note]


def _check_memory(
    sizes: Sequence[tuple[int, int]],
    stages: Sequence[tuple[Stage, tuple[int, int]]],
    context_bytes: int,
    settings: Settings,
) -> None:
    """Refuse what would not fit, of frames of ``sizes`` and of those that wait in ``stages``, each with its size.

    Beside them are those around a segment, which are held while the chain goes through it.
    """
    largest = max(width * height for width, height in sizes)
    waiting = sum(stage.frames_held * width * height for stage, (width, height) in stages)
    needed = (largest * FRAMES_HELD + waiting) * 3 * torch.float32.itemsize + context_bytes
    free = memory.available(settings, torch.device("cpu"))
    if needed > free:
        raise ResourceError(
            f"Frames of this size need about {needed / MEBI:.0f} MiB of memory and {free / MEBI:.0f} MiB are free: "
            "choose a smaller scale or target, or close other programs."
        )


def encoded_bytes(encoder: Plan, seconds: Fraction) -> float:
    """What a result that lasts ``seconds`` takes at the least, at the usual quality."""
    picture = encoder.picture
    return picture.width * picture.height * float(seconds * encoder.rate) * BITS_PER_PIXEL[encoder.codec] / 8


def _check_disk(target: Path, encoder: Plan, seconds: Fraction | None, settings: Settings) -> None:
    if seconds is None:
        return
    needed = encoded_bytes(encoder, seconds)
    free = shutil.disk_usage(target.resolve().parent).free
    if needed + settings.min_free_bytes > free:
        raise OutputError(
            f"{target.name} would take {needed / MEBI:.0f} MiB or more, {free / MEBI:.0f} MiB are free in its folder "
            f"and {settings.min_free_bytes / MEBI:.0f} have to stay so: make room, or choose a smaller size.",
            setting="RESTORE_MIN_FREE_MB",
        )


def _expected(
    info: ClipInfo, start: Fraction | None, end: Fraction | None, seconds: Fraction | None, rate: Fraction
) -> int:
    video = info.video
    if start is None and end is None and video.frames:
        return round(video.frames * rate / video.frame_rate)
    return 0 if seconds is None else max(1, round(seconds * rate))
