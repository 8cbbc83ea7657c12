"""A look into a clip before the work: what decoding and encoding it costs on this machine, and how many bytes it takes.

Both depend on what is to be seen, so they are measured on some frames of the clip itself, from its beginning and from
later on. Only a part of each frame is encoded, in the size that it will have.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import cast

import av

from restore.chain import prepared
from restore.clip_plan import ClipPlan
from restore.errors import InputError
from restore.frame import Frame
from restore.inference.resample import lanczos
from restore.media.clips.encoders import KINDS, Encoding, plan_encoding
from restore.media.clips.writer import ClipWriter
from restore.progress import Progress
from restore.settings import MEBI, Settings
from restore.streaming import Sink

PLACES = (Fraction(0), Fraction(1, 3), Fraction(2, 3))
"""Where in the clip frames are looked at, as shares of its length."""

FRAMES, FEWEST = 8, 3
"""Frames at each place at most, and where they take much memory."""

HELD_BYTES = 256 * MEBI
"""What the frames of a place may take."""

ENCODED_PIXELS = 480 * 360
"""Pixels of a frame that are encoded at most."""

SMALLEST_SIDE = 16
"""Pixels that the side of such a frame has at least, and more where the encoder asks for more."""

GROUP = 250
"""Frames from one that needs no others to the next one, where no cut brings one earlier: what the encoders do."""


@dataclass(frozen=True)
class Sample:
    """What a clip costs beside its stages: seconds of time, and seconds of all processors together.

    ``decode`` is for each frame of the source and ``encode`` for each that is written; ``repeats`` is the share of
    frames that are exactly like the one before, so that nothing is computed for them. ``group_bytes`` is what a frame
    takes that needs no others, ``frame_bytes`` any other.
    """

    decode: float
    decode_processor: float
    encode: float
    encode_processor: float
    repeats: float
    group_bytes: float
    frame_bytes: float

    def bytes_of(self, frames: int) -> float:
        """Bytes of so many frames in a file, without sound."""
        groups = -(-frames // GROUP)
        return groups * self.group_bytes + (frames - groups) * self.frame_bytes


def look_into(plan: ClipPlan, encoding: Encoding, settings: Settings, progress: Progress) -> Sample:
    """Decode and encode some frames of the clip of ``plan``.

    Raises ``RestoreError`` kinds, as the work itself does, and ``Cancelled``.
    """
    decoded = _Decoded()
    encoder = _Encoder(plan, encoding)
    length = plan.counts[0] / plan.rates[0]
    begin = plan.info.video.start if plan.start is None else plan.start
    for place in PLACES:
        try:
            frames = _frames_at(plan, begin + place * length if place else plan.start, settings, decoded)
        except InputError:
            if not place:
                raise
            break  # what is damaged later on is found by the work itself
        encoder.parts += [encoder.part_of(frame) for frame in frames]
        progress.check()
        if plan.counts[0] <= len(PLACES) * FRAMES:
            break  # too short for places of its own
    encode, encode_processor, sizes = encoder.run(progress)
    seen = max(1, decoded.frames)
    return Sample(
        decode=decoded.seconds / seen,
        decode_processor=decoded.processor / seen,
        encode=encode,
        encode_processor=encode_processor,
        repeats=decoded.repeats / seen,
        group_bytes=sizes[0],
        frame_bytes=sizes[1],
    )


@dataclass
class _Decoded:
    """How long it took to decode so many frames that follow another one, and how many of them only repeat it."""

    frames: int = 0
    repeats: int = 0
    seconds: float = 0.0
    processor: float = 0.0


def _frames_at(plan: ClipPlan, start: Fraction | None, settings: Settings, decoded: _Decoded) -> list[Frame]:
    """Some frames from ``start`` on, as the first stage gets them.

    The time of the first one does not count, which is that of a jump into the clip.
    """
    width, height = plan.size
    most = min(FRAMES, max(FEWEST, HELD_BYTES // (width * height * 12)))
    frames: list[Frame] = []
    began, busy = 0.0, 0.0
    with closing(cast(Generator[Frame], replace(plan, start=start).reader(settings).frames())) as read:
        for frame in islice(read, most):
            frames.append(prepared(frame, plan))
            if len(frames) == 1:
                began, busy = time.perf_counter(), time.process_time()
            else:
                decoded.repeats += frame.repeat
    if len(frames) > 1:
        decoded.frames += len(frames) - 1
        decoded.seconds += time.perf_counter() - began
        decoded.processor += time.process_time() - busy
    return frames


class _Encoder:
    """Encodes a part out of the middle of frames, in a thread as the work does it."""

    def __init__(self, plan: ClipPlan, encoding: Encoding) -> None:
        self.plan, self.encoding = plan, encoding
        self.parts: list[Frame] = []
        width, height = plan.written
        share = min(1.0, math.sqrt(ENCODED_PIXELS / (width * height)))
        least = max(SMALLEST_SIDE, KINDS[encoding.codec].smallest_side)
        self.size = max(least, round(width * share / 2) * 2), max(least, round(height * share / 2) * 2)
        if share == 1:
            self.size = plan.written
        self.enlarged = plan.written[0] / plan.size[0], plan.written[1] / plan.size[1]

    def part_of(self, frame: Frame) -> Frame:
        """The middle of a frame, in the size that it will have."""
        width, height = (
            min(whole, max(1, round(side / factor)))
            for side, factor, whole in zip(self.size, self.enlarged, (frame.width, frame.height), strict=True)
        )
        left, top = (frame.width - width) // 2, (frame.height - height) // 2
        pixels = frame.pixels[:, top : top + height, left : left + width]
        alpha = None if frame.alpha is None else frame.alpha[None, top : top + height, left : left + width]
        size = self.size[1], self.size[0]
        return replace(
            frame,
            pixels=lanczos(pixels, *size).clamp(0, 1),
            alpha=None if alpha is None else lanczos(alpha, *size)[0].clamp(0, 1),
            repeat=False,
        )

    def run(self, progress: Progress) -> tuple[float, float, tuple[float, float]]:
        """Seconds for a whole frame, of time and of all processors; bytes of one that needs no others, and of others.

        The parts follow each other as if nothing lay between the places they are from.
        """
        picture = replace(self.plan.encoder.picture, width=self.size[0], height=self.size[1])
        every = 1 / self.plan.rates[-1]
        with tempfile.TemporaryDirectory(prefix="restore-estimate-") as folder:
            target = Path(folder) / f"part{self.plan.target.suffix}"
            writer = ClipWriter(target, plan_encoding(self.encoding, target, picture))

            def work(frames: Iterator[Frame]) -> None:
                with writer:
                    for frame in frames:
                        writer.write(frame)

            began, busy = time.perf_counter(), time.process_time()
            with Sink(work, len(self.parts), check=progress.check, name="estimate") as sink:
                for number, part in enumerate(self.parts):
                    sink.put(replace(part, pts=number * every, duration=every))
            seconds, processor = time.perf_counter() - began, time.process_time() - busy
            sizes = _packet_sizes(target)
        width, height = self.plan.written
        larger = width * height / (self.size[0] * self.size[1])
        count = len(self.parts)
        return seconds / count * larger, processor / count * larger, (sizes[0] * larger, sizes[1] * larger)


def _packet_sizes(path: Path) -> tuple[float, float]:
    """Bytes of the packets of pictures that need no others, and of all others, on the average."""
    keys: list[int] = []
    others: list[int] = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                (keys if packet.is_keyframe else others).append(packet.size)
    key = fmean(keys or others)
    return key, fmean(others or keys)
