"""Animated WebP, which FFmpeg cannot read: its facts from the chunks of the file, its first frame through Pillow.

The format is that of Google's "WebP Container Specification": a RIFF file with a chunk for each frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from restore.errors import InputError
from restore.media.clips.containers import check_pixels
from restore.media.clips.facts import ClipInfo, ColourTags, VideoInfo
from restore.media.clips.rates import pace_of
from restore.media.source import open_source
from restore.settings import Settings

CONTAINER = "webp"
TIME_BASE = Fraction(1, 1000)

INSTEAD_OF_ZERO = 100
"""Milliseconds that a frame lasts which claims to last none; browsers show it for as long."""

_MAX_CHUNKS = 100_000
_ALPHA_FLAG = 0x10


def probe(path: Path, settings: Settings) -> ClipInfo:
    """The facts of the animated WebP at ``path``. Only its first frame is decoded.

    Raises ``InputError`` if it is broken, cut off or without frames, ``LimitError`` if it is larger than ``settings``
    allow.
    """
    with open_source(path, settings, clip=True) as file:
        size = file.seek(0, 2)
        width, height, alpha = _canvas(file)
        check_pixels(width, height, path.name, settings)
        steps = _steps(file)
        if not steps:
            raise InputError(f"{path.name} holds no frames: it is empty or was cut off.")
        _check_first_frame(file, path.name)
    times = list(accumulate(steps, initial=0))[:-1]
    pace = pace_of(times, TIME_BASE, ())
    duration = sum(steps) * TIME_BASE
    video = VideoInfo(
        index=0,
        codec="webp",
        width=width,
        height=height,
        pixel_format="rgba" if alpha else "rgb24",
        bits=8,
        alpha=alpha,
        frame_rate=pace.rate if pace else 1 / duration,
        constant_rate=(pace is None or pace.constant) and steps[-1] == steps[0],
        time_base=TIME_BASE,
        duration=duration,
        duration_from="counted",
        frames=len(steps),
        frames_from="counted",
        colour=ColourTags(matrix=0, primaries=1, transfer=13, full_range=True),
    )
    return ClipInfo(name=path.name, container=CONTAINER, size=size, video=video, duration=duration)


def frame_durations(path: Path, settings: Settings) -> list[int]:
    """How long each frame of the animated WebP at ``path`` is shown, in milliseconds."""
    with open_source(path, settings, clip=True) as file:
        return _steps(file)


def _canvas(file: BinaryIO) -> tuple[int, int, bool]:
    file.seek(20)
    header = file.read(10)
    width = 1 + int.from_bytes(header[4:7], "little")
    height = 1 + int.from_bytes(header[7:10], "little")
    return width, height, bool(header[:1] and header[0] & _ALPHA_FLAG)


def _steps(file: BinaryIO) -> list[int]:
    """How long each frame is shown, in milliseconds."""
    steps = []
    for kind, start in _chunks(file):
        if kind == b"ANMF":
            file.seek(start + 12)
            steps.append(int.from_bytes(file.read(3), "little") or INSTEAD_OF_ZERO)
    return steps


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The kind and the place of the content of each chunk."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return
        length = int.from_bytes(header[4:], "little")
        yield header[:4], position + 8
        position += 8 + length + length % 2


def _check_first_frame(file: BinaryIO, name: str) -> None:
    file.seek(0)
    try:
        with Image.open(file, formats=("WEBP",)) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{name} is broken or cut off and cannot be decoded: get a whole copy of it.") from error
