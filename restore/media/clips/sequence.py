"""Numbered pictures as a clip: which files these are, what they are together, and their frames.

Only who asks for one by name gets a sequence: nothing that a visitor of the page or a script over HTTP can send is ever
taken for the name of one, since it makes the program open many files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from restore.errors import InputError, SettingsError
from restore.media.clips.containers import check_pixels
from restore.media.clips.facts import ClipInfo, ColourTags, VideoInfo
from restore.media.clips.rates import parse_rate
from restore.media.decoded import join_alpha
from restore.media.depth import to_uint8, to_uint16
from restore.media.images import Image, probe_image, read_image
from restore.settings import Settings, load_settings

CONTAINER = "sequence"

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif", ".gif"}
)
"""How the names of pictures in a folder end; a pattern may name others."""

_PLACEHOLDER = re.compile(r"%(?:0(\d{1,2}))?d")
_LAST_NUMBER = re.compile(r"(?s)(.*?)(\d+)(\D*)")


@dataclass(frozen=True)
class ImageSequence:
    """Numbered pictures that are the frames of a clip, ``rate`` of them a second.

    ``path`` is a folder with nothing but these pictures in it, or a pattern such as ``frames/%05d.png`` whose last part
    has a place for the number: ``%d``, or ``%05d`` for one with zeros before it up to five digits. ``rate`` is a number
    or text such as ``"24000/1001"``.

    Raises ``SettingsError`` for a rate that is none.
    """

    path: str | Path
    rate: int | float | str | Fraction = 24

    def __post_init__(self) -> None:
        parse_rate(self.rate)


def is_pattern(path: Path) -> bool:
    """Whether the last part of ``path`` has a place for a number."""
    return _PLACEHOLDER.search(path.name) is not None


def list_pictures(path: Path) -> list[Path]:
    """The pictures of the sequence ``path`` in the order of their numbers.

    Raises ``InputError`` where there are none, or numbers are missing or there twice, and ``SettingsError`` for a
    pattern with several places for a number.
    """
    numbered = sorted(_by_pattern(path) if is_pattern(path) else _in_folder(path))
    if not numbered:
        raise InputError(
            f"There is no picture of the sequence {path}: check its folder, and the digits of its numbers."
        )
    numbers = [number for number, _ in numbered]
    for (number, picture), (following, next_picture) in pairwise(numbered):
        if following == number:
            raise InputError(f"{picture.name} and {next_picture.name} have the same number: take one of them away.")
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:
        first = next(number + 1 for number, following in pairwise(numbers) if following > number + 1)
        others = f", and {missing - 1} more" if missing > 1 else ""
        raise InputError(
            f"The sequence {path} has gaps: number {first} is missing{others}. Add what is missing, or number the "
            "pictures anew."
        )
    return [picture for _, picture in numbered]


def probe_sequence(sequence: ImageSequence, settings: Settings | None = None) -> ClipInfo:
    """Find out what the clip is that a sequence makes: one picture is decoded, of the others the headers are read.

    Raises ``InputError`` where pictures are missing, broken or of several sizes, ``LimitError`` where they are larger
    than ``settings`` (the process's own if none are given) allow.
    """
    settings = settings or load_settings()
    path = Path(sequence.path)
    pictures = list_pictures(path)
    first = read_image(pictures[0], settings)
    height, width = first.pixels.shape[:2]
    check_pixels(width, height, path.name, settings)
    for picture in pictures[1:]:
        header = probe_image(picture, settings)
        if (header.width, header.height) != (width, height):
            raise InputError(
                f"{picture.name} has {header.width}x{header.height} pixels and {pictures[0].name} {width}x{height}: "
                "all pictures of a sequence must have one size."
            )
    rate = parse_rate(sequence.rate)
    deep, alpha = first.pixels.dtype == np.uint16, first.alpha is not None
    duration = len(pictures) / rate
    video = VideoInfo(
        index=0,
        codec=first.format.lower(),
        width=width,
        height=height,
        pixel_format=_pixel_format(deep=deep, alpha=alpha),
        bits=16 if deep else 8,
        alpha=alpha,
        frame_rate=rate,
        constant_rate=True,
        time_base=1 / rate,
        duration=duration,
        duration_from="counted",
        frames=len(pictures),
        frames_from="counted",
        colour=ColourTags(matrix=0, primaries=1, transfer=13, full_range=True),
    )
    warnings = []
    if first.icc_profile is not None:
        warnings.append("The pictures have a colour profile, which a clip has no place for: their numbers stay.")
    return ClipInfo(
        name=path.name,
        container=CONTAINER,
        size=sum(picture.stat().st_size for picture in pictures),
        video=video,
        duration=duration,
        warnings=tuple(warnings),
    )


def decoded(path: Path, video: VideoInfo, settings: Settings, start: Fraction | None) -> Iterator[VideoFrame]:
    """The pictures of the sequence ``path``, of which ``probe_sequence`` found ``video``, as frames with their times.

    Those that are over a frame before ``start`` are left out. Raises ``InputError`` for one that is broken or has got
    another size since.
    """
    first = 0 if start is None else max(0, floor(start * video.frame_rate) - 1)
    deep = video.bits == 16
    for number, picture in enumerate(list_pictures(path)):
        if number < first:
            continue
        image = read_image(picture, settings)
        if image.pixels.shape[:2] != (video.height, video.width):
            raise InputError(f"{picture.name} has got another size while the clip was read: try again.")
        frame = VideoFrame.from_ndarray(
            _samples(image, deep=deep, alpha=video.alpha), format=_pixel_format(deep=deep, alpha=video.alpha)
        )
        frame.pts, frame.duration, frame.time_base = number, 1, 1 / video.frame_rate
        yield frame


def _pixel_format(*, deep: bool, alpha: bool) -> str:
    """FFmpeg's name of the pixels that the frames of a sequence get."""
    return ("rgba64le" if deep else "rgba") if alpha else ("rgb48le" if deep else "rgb24")


def _samples(image: Image, *, deep: bool, alpha: bool) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """``image`` as (H, W, 3 or 4) in the depth of the sequence; what is transparent in one without is put on white."""
    full = np.iinfo(image.pixels.dtype).max
    pixels: NDArray[Any] = np.broadcast_to(image.pixels, (*image.pixels.shape[:2], 3))
    opacity: NDArray[Any] = np.full(pixels.shape[:2], full, pixels.dtype) if image.alpha is None else image.alpha
    if not alpha and image.alpha is not None:
        share = opacity[..., None].astype(np.float64) / full
        pixels = np.rint(pixels * share + full * (1 - share)).astype(pixels.dtype)
    joined: NDArray[Any] = join_alpha(pixels, opacity if alpha else None)
    if joined.dtype == np.uint8:
        return to_uint16(joined, 8) if deep else joined
    return joined if deep else to_uint8(joined)


def _by_pattern(path: Path) -> list[tuple[int, Path]]:
    places = list(_PLACEHOLDER.finditer(path.name))
    if len(places) > 1:
        raise SettingsError(f"{path.name} has several places for a number: give a pattern with one, such as %05d.png.")
    (place,) = places
    digits = int(place[1] or 0)
    before, after = (part.replace("%%", "%") for part in (path.name[: place.start()], path.name[place.end() :]))
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found = []
    for picture in _listed(path.parent):
        match = name.fullmatch(picture.name)
        # With zeros before it up to so many digits, or longer than that, as printf writes numbers.
        if match and match[1] == f"{int(match[1]):0{max(1, digits)}d}":
            found.append((int(match[1]), picture))
    return found


def _in_folder(folder: Path) -> list[tuple[int, Path]]:
    found, series = [], set()
    for picture in _listed(folder):
        if picture.name.startswith(".") or picture.suffix.lower() not in SUFFIXES:
            continue
        match = _LAST_NUMBER.fullmatch(picture.stem)
        if match is None:
            raise InputError(f"{picture.name} has no number: a sequence needs one in the name of each picture.")
        series.add((match[1], match[3], picture.suffix))
        found.append((int(match[2]), picture))
    if len(series) > 1:
        one, other, *_ = sorted(f"{before}%d{after}{suffix}" for before, after, suffix in series)
        raise InputError(f"{folder} holds several sequences, {one} and {other} among them: give the pattern of one.")
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if entry.is_file()]
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}.") from error
